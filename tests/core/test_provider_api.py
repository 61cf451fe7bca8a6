from __future__ import annotations

import pytest

from polysession import provider_api


@pytest.mark.parametrize("name", dir(provider_api))
def test_every_name_that_a_provider_may_import_loads(name: str) -> None:
    assert getattr(provider_api, name) is not None
