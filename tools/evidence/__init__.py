"""Evidence from tests: the features of the backends that each test shows, and the kind of evidence.

A test declares it by `pytest.mark.evidence`, by the cassette that it replays, or by being a contract test. The plugin
collects the evidence of the passed tests, and `docs/generate.py` writes a page from it.
"""
