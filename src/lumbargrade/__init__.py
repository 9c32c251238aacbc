"""Lumbar spine MRI studies (DICOM) in, stenosis gradings out, and a record that an auditor can check."""

__version__ = "0.1.0"
