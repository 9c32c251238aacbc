"""Registered models: packaging, lineage, and which one is champion."""
