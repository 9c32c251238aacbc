"""DICOM files to volumes with geometry: headers, pixels, slice order, patient coordinates."""
