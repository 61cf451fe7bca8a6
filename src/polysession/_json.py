"""JSON text, read tolerantly."""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

JSON_FAILURES: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What msgspec raises for text that it cannot decode."""

_LONE_SURROGATES: Final = re.compile(
    rb"(\\[^u]|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})|\\u[dD][89a-fA-F][0-9a-fA-F]{2}"
)
"""An escape or a whole surrogate pair, which stays, or one half of a pair."""


def replace_lone_surrogates(content: bytes) -> bytes:
    """The JSON text with U+FFFD for each half of a surrogate pair: JSON's grammar allows them, decoders refuse them."""
    return _LONE_SURROGATES.sub(lambda match: match[1] or rb"\ufffd", content)


def decode_json(content: bytes) -> Any:
    """Decode JSON text of any kind.

    Raises:
        ValueError: It is not JSON, or nested too deeply.
    """
    for text in (content, replace_lone_surrogates(content)):
        try:
            return msgspec.json.decode(text)
        except JSON_FAILURES as error:
            problem = str(error)
    raise ValueError(problem)
