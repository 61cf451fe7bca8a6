"""Comparison of the published interfaces of the backends with our code, in two steps.

1. The published description or official SDK of a backend is compared with the stored version in
   `tests/spec_drift/<backend>/<source>.json`. Fields, event types, enum values and routes that are new, gone or changed
   are listed.
2. The stored version is compared with our code. Names that only one side has are listed, unless
   `tests/spec_drift/<backend>/accepted.json` accepts them with a reason.
"""
