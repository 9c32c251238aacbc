"""Registered versions: what is packaged, by what evidence, and which one is champion."""
