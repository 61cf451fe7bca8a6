"""The description of the installed service equals the stored one."""

from pathlib import Path

import pytest

from tools.spec_drift.compare import table
from tools.spec_drift.sources import agentscope_service, findings


def test_the_service_has_not_drifted(request: pytest.FixtureRequest) -> None:
    published = agentscope_service(Path(request.config.getoption("agentscope_python")).absolute())

    found = list(findings(published))

    assert not found, f"run `nox -s spec_drift`, and fix or accept:\n{table(found)}"
