"""Drift alarms: has a backend changed under us, and do we know every word that it publishes?

Two questions, asked apart:

1. Does a backend's published description, or its official SDK, still say what is written down in
   `tests/spec_drift/<backend>/<source>.json`? Fields, event types, enum values and routes that are new, gone or changed
   are listed.
2. Does our code know what is written down there? A word that only one side knows is listed, unless
   `tests/spec_drift/<backend>/accepted.json` accepts it with a reason.
"""
