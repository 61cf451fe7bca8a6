"""Cassettes and tapes: recording, redaction, replay, and checks of the files."""
