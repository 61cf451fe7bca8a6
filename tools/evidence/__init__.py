"""Evidence from tests: the shown features of each backend, and the kind of evidence.

A test declares it by `pytest.mark.evidence`, by the cassette that it replays, or by being a contract test. The plugin
collects the evidence of the passed tests, and `docs/generate.py` writes a page from it.
"""
