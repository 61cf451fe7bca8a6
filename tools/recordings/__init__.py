"""Cassettes and tapes: recording, redaction, replay, and the checks of the files under `cassettes/`."""
