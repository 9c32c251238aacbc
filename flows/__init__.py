"""Prefect flows: what runs, in what order, retried how. One file a flow; no learning code, no DICOM code."""
