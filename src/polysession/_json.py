"""JSON text, read tolerantly."""

from __future__ import annotations

import re
from decimal import Decimal
from math import isfinite
from typing import Any, Final

import msgspec

JSON_FAILURES: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""The exceptions that msgspec raises for text that it cannot decode."""

_LONE_SURROGATES: Final = re.compile(
    rb"(\\[^u]|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})|\\u[dD][89a-fA-F][0-9a-fA-F]{2}"
)
"""An escape or a whole surrogate pair, which stays, or one half of a pair."""


def replace_lone_surrogates(content: bytes) -> bytes:
    """The JSON text with U+FFFD for each half of a surrogate pair: JSON's grammar allows them, decoders refuse them."""
    return _LONE_SURROGATES.sub(lambda match: match[1] or rb"\ufffd", content)


def decode_json(content: bytes) -> Any:
    """Decode JSON text of any kind. A number beyond the range of floats is a `Decimal`.

    Raises:
        ValueError: It is not JSON, or nested too deeply.
    """
    try:
        return msgspec.json.decode(content)
    except JSON_FAILURES:
        pass
    try:
        return _TOLERANT.decode(replace_lone_surrogates(content))
    except JSON_FAILURES as error:
        problem = str(error)
    raise ValueError(problem)


def _finite(number: str) -> float | Decimal:
    value = float(number)
    return value if isfinite(value) else Decimal(number)


_TOLERANT: Final = msgspec.json.Decoder(Any, float_hook=_finite)
