"""The studies that were uploaded to the viewer."""
