from polysession.testing import ProviderContract


class TestAdk(ProviderContract):
    provider = "adk"
