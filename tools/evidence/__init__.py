"""The evidence of tests: the backend, the feature and the kind of evidence of each.

A test says it by `pytest.mark.evidence`, by the cassette that it plays, or by being a contract test. The plugin
collects what the passed ones show, and `docs/generate.py` makes a page of it.
"""
