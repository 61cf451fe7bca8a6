"""Random ids in the alphabets that backends use."""

from __future__ import annotations

import secrets
import string

_BASE36 = string.digits + string.ascii_lowercase
_BASE62 = string.digits + string.ascii_letters


def hex_id(prefix: str = "", digits: int = 32) -> str:
    """Return a prefix followed by a number of random lowercase hexadecimal digits."""
    return prefix + secrets.token_hex((digits + 1) // 2)[:digits]


def base36_id(prefix: str = "", digits: int = 20) -> str:
    """Return a prefix followed by a number of random characters from 0-9 and a-z."""
    return prefix + "".join(secrets.choice(_BASE36) for _ in range(digits))


def base62_id(prefix: str = "", digits: int = 24) -> str:
    """Return a prefix followed by a number of random characters from 0-9, a-z and A-Z."""
    return prefix + "".join(secrets.choice(_BASE62) for _ in range(digits))
