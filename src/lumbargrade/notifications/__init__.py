"""Notices: people and programs learn what happened, by HTTP and by mail."""
