"""Parses structured options."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from polysession._validation import problems_text
from polysession.change import UNSET, NativeBody
from polysession.errors import UsageError
from polysession.session import AgentCapability, ModelConfig


def pairs(texts: Iterable[str] | None, option: str, form: str = "KEY=VALUE") -> dict[str, str]:
    """Parse `key=value` texts.

    Args:
        texts: The texts.
        option: Name of the option, for the error.
        form: Form of the texts, for the error.

    Raises:
        UsageError: A text is not such a pair, or a key comes twice.
    """
    found: dict[str, str] = {}
    for text in texts or ():
        key, equals, value = text.partition("=")
        if not equals or not key:
            # The text is not quoted: it may be a secret.
            raise UsageError(f"{option} must be {form}")
        if key in found:
            raise UsageError(f"{option} sets {key!r} twice; give it once")
        found[key] = value
    return found


def change(name: str, value: object, *, clear: bool = False) -> object:
    """Return a change of a field: its new value, None to clear it, or `UNSET` for no change.

    Raises:
        UsageError: The field is both set and cleared.
    """
    if clear and value is not None:
        raise UsageError(f"--clear-{name} cannot be combined with an option that sets the same field")
    if clear:
        return None
    return UNSET if value is None else value


def check_changes(changes: Mapping[str, object], native_json: str | None, *edits: object) -> dict[str, Any]:
    """Return the changes that were given.

    Args:
        changes: A result of `change` for each field.
        native_json: The option for further fields.
        edits: Other changes; empty ones change nothing.

    Raises:
        UsageError: Nothing changes.
    """
    given = {field: value for field, value in changes.items() if value is not UNSET}
    if not given and not any(edits) and native_json is None:
        raise UsageError("nothing to change; give at least one field")
    return given


def json_object(text: str, option: str) -> dict[str, Any]:
    """Parse a JSON object: the text itself, the file after `@`, or stdin for `-`.

    Raises:
        UsageError: It is not a JSON object.
    """
    try:
        value = json.loads(_source(text))
    except (OSError, ValueError) as error:
        raise UsageError(f"{option} must be a JSON object, @FILE, or - for stdin: {error}") from error
    if not isinstance(value, dict):
        raise UsageError(f"{option} must be a JSON object, not a {type(value).__name__}")
    return value


def message_text(text: str) -> str:
    """Return a message, read from stdin for `-`."""
    return stdin_text() if text == "-" else text


def joined_text(words: Sequence[str] | None) -> str:
    """Return a message of several words; stdin replaces `-`, and is the whole message if there are no words.

    Raises:
        UsageError: The message is empty, or there are no words and stdin is a terminal or closed.
    """
    if not words and sys.stdin is not None and sys.stdin.isatty():
        raise UsageError("no message; give TEXT, or pipe a message to stdin")
    parts: list[str] = []
    for word in words or ("-",):
        if word == "-":
            parts.append(f"\n\n{stdin_text()}\n\n")
        else:
            parts.append(f" {word}" if parts and not parts[-1].endswith("\n") else word)
    message = "".join(parts).strip()
    if not message:
        raise UsageError("the message is empty; give TEXT, or pipe a message to stdin")
    return message


def stdin_text() -> str:
    """Read all of stdin, without a byte order mark.

    Raises:
        UsageError: It is closed.
    """
    return "".join(stdin_lines())


def stdin_lines() -> Iterator[str]:
    """Read the lines of stdin, without a byte order mark."""
    if sys.stdin is None:
        raise UsageError("stdin is closed; give the text as an argument")
    for number, line in enumerate(sys.stdin):
        yield line.removeprefix("\ufeff") if number == 0 else line


def native_body(text: str | None, body_type: type[NativeBody] | None, provider: str) -> NativeBody | None:
    """Parse `--native-json`, a body in the backend's own terms; None if it is not given.

    Raises:
        UsageError: The provider takes no such body here, or the body is wrong.
    """
    if text is None:
        return None
    if body_type is None:
        raise UsageError(f"{provider} has no native fields for this command; remove --native-json", provider=provider)
    fields = json_object(text, "--native-json")
    try:
        return body_type.model_validate(fields)
    except ValidationError as error:
        known = ", ".join(info.alias or name for name, info in body_type.model_fields.items())
        raise UsageError(
            f"--native-json: {problems_text(error)}. {body_type.__name__} accepts: {known}", provider=provider
        ) from None


def model_config(
    model: str | None, kind: str | None, credential: str | None, parameters: str | None
) -> ModelConfig | None:
    """Parse the four options about the model; None if they are not given.

    Raises:
        UsageError: The id of the model is missing, but other options are given.
    """
    if model is None:
        if kind or credential or parameters:
            raise UsageError("--model-type, --credential and --model-parameters need --model")
        return None
    values = json_object(parameters, "--model-parameters") if parameters else {}
    return ModelConfig(id=model, type=kind, credential_id=credential, parameters=values)


def capabilities(texts: Sequence[str] | None) -> list[AgentCapability] | None:
    """Parse `--capability REF` and `--capability REF={...}`; None if there are none.

    Raises:
        UsageError: A configuration is not JSON.
    """
    found = []
    for text in texts or ():
        ref, equals, config = text.partition("=")
        try:
            found.append(AgentCapability(ref=ref, config=json.loads(config) if equals else None))
        except ValueError as error:
            raise UsageError(
                f"--capability must be REF, or REF={{...}} with a configuration in JSON: {error}"
            ) from error
    return found or None


def moment(text: str | None, option: str) -> datetime | None:
    """Parse a time in ISO 8601; without a zone it is in UTC.

    Raises:
        UsageError: It is not such a time.
    """
    try:
        return None if text is None else datetime.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"{option} must be a time such as 2026-11-25T08:00Z: {error}") from error


def _source(text: str) -> str:
    if text == "-":
        return stdin_text()
    return Path(text[1:]).read_text("utf-8-sig") if text.startswith("@") else text
