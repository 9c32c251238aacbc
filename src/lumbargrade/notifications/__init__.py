"""Notices: people and programs are told what happened, by HTTP and by mail."""
