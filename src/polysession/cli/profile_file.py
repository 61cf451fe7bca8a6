"""Edits the configuration file as text, so that comments and order are kept."""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from polysession.errors import UsageError
from polysession.profiles import parse_profiles

_BARE_KEY: Final = re.compile(r"[A-Za-z0-9_-]+")
_DEFAULT_LINE: Final = re.compile(r"^[ \t]*default[ \t]*=.*$", re.MULTILINE)
_FIRST_TABLE: Final = re.compile(r"^[ \t]*\[", re.MULTILINE)


def read_text(path: Path) -> str:
    """Return the text of the file; empty if it does not exist.

    Raises:
        UsageError: It cannot be read.
    """
    try:
        return path.read_text("utf-8-sig")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeError) as error:
        raise UsageError(f"cannot read {path}: {error}") from error


def with_profile(text: str, name: str, values: Mapping[str, Any], new_session: Mapping[str, str]) -> str:
    """Return the text with a profile added at its end.

    Args:
        text: The text.
        name: Name of the profile.
        values: Its provider and settings. A key may be dotted; a value is a text, or a table of texts.
        new_session: The profile's defaults for new sessions.
    """
    lines = [f"[profiles.{_key(name)}]", *(f"{_dotted(key)} = {_value(value)}" for key, value in values.items())]
    if new_session:
        lines += ["", f"[profiles.{_key(name)}.new_session]"]
        lines += [f"{_key(key)} = {_value(value)}" for key, value in new_session.items()]
    before = f"{text.rstrip()}\n\n" if text.strip() else ""
    return before + "\n".join(lines) + "\n"


def with_default(text: str, name: str) -> str:
    """Return the text with another default profile."""
    table = _FIRST_TABLE.search(text)
    top, rest = (text[: table.start()], text[table.start() :]) if table else (text, "")
    line = f"default = {_value(name)}"
    found = _DEFAULT_LINE.search(top)
    if found:
        return top[: found.start()] + line + top[found.end() :] + rest
    return f"{line}\n{top if top.strip() else chr(10)}{rest}"


def write_text(path: Path, before: str, after: str, changed: Mapping[str, Any]) -> None:
    """Replace the file if the new text has exactly the expected changes. Only the owner can read a new file.

    Args:
        path: The file.
        before: Its current text.
        after: Its new text.
        changed: Members of the document that should change, with their new values; a table is merged.

    Raises:
        UsageError: The new text would not have this meaning, for example because of an unusual layout.
        OSError: The file cannot be written.
    """
    expected = tomllib.loads(before)
    for key, value in changed.items():
        expected[key] = expected.get(key, {}) | value if isinstance(value, dict) else value
    try:
        result = tomllib.loads(after)
    except ValueError:
        result = None
    if result != expected:
        raise UsageError(f"the layout of {path} does not allow an automatic change; edit the file in an editor")
    parse_profiles(after, path)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    written = path.with_suffix(f".{os.getpid()}")
    written.touch(mode=path.stat().st_mode & 0o777 if path.exists() else 0o600)
    written.write_text(after, encoding="utf-8")
    written.replace(path)


def _dotted(key: str) -> str:
    return ".".join(_key(part) for part in key.split("."))


def _key(key: str) -> str:
    return key if _BARE_KEY.fullmatch(key) else _value(key)


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return f"{{ {', '.join(f'{_key(name)} = {_value(inner)}' for name, inner in value.items())} }}"
    return json.dumps(value, ensure_ascii=False)
