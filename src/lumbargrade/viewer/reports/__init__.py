"""An answer as PDF, DICOM SR or CSV."""
