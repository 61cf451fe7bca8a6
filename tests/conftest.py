"""Options of the test run."""

import pytest

pytest_plugins = ["pytester", "support.evidence.plugin"]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--agentscope-python",
        metavar="PATH",
        help="interpreter that has the AgentScope service: also collect the tests against the real service",
    )
    parser.addoption(
        "--every-byte",
        action="store_true",
        help="cut the streams at every byte instead of at some; takes minutes",
    )
    parser.addoption(
        "--record",
        metavar="SOURCE",
        help="record the cassettes and tapes of a real service again, such as `agentscope`; see `nox -s record`",
    )
