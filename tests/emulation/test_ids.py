from __future__ import annotations

import re

import pytest

from polysession.emulation import base36_id, base62_id, hex_id


@pytest.mark.parametrize("digits", [1, 7, 32])
def test_ids_have_their_prefix_and_as_many_digits(digits: int) -> None:
    assert re.fullmatch(rf"sess_[0-9a-f]{{{digits}}}", hex_id("sess_", digits))
    assert re.fullmatch(rf"sess_[0-9a-z]{{{digits}}}", base36_id("sess_", digits))
    assert re.fullmatch(rf"sess_[0-9a-zA-Z]{{{digits}}}", base62_id("sess_", digits))


def test_no_id_comes_twice() -> None:
    assert len({hex_id() for _ in range(100)} | {base36_id() for _ in range(100)}) == 200
