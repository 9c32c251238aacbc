"""The RSNA layout on disk: its tables, its integrity check, and the phantom."""
