"""Redacts exchanges before they are stored.

Everything that is not listed as allowed is redacted.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from vcr.request import Request

from tools.recordings.allowed import CREDENTIAL_HEADERS, KEYS, OPEN_KEYS, REQUEST_HEADERS, RESPONSE_HEADERS

REDACTED: Final = "REDACTED"

_SCHEME: Final = re.compile("(?:Bearer|ApiKey) ")

SUSPICIONS: Final[Mapping[str, re.Pattern[str]]] = {
    "a token": re.compile(
        r"(?<![A-Za-z0-9])(?:(?:sk|pk|rk|pt|pat|ghp|gho|ghs|glpat|xox[abprs]|evr|whsec|svc)[-_][A-Za-z0-9_-]{8,}"
        r"|AKIA[0-9A-Z]{12,})"
    ),
    "a signed token": re.compile(r"eyJ[\w-]{8,}\.[\w-]+(?:\.[\w-]+)?"),
    "an authorization": re.compile(
        rf"(?i)\b(?:bearer|basic)\s+(?!{REDACTED}|token\b|auth\w*\b|credential\b)[\w.~+/=$-]{{6,}}"
    ),
    "a login in an address": re.compile(r"://[^/\s:@]+:[^/\s:@]+@"),
    "a private key": re.compile(r"-----BEGIN [A-Z ]*KEY-----"),
    "a path of a host": re.compile(r"(?<![\w.])/(?:home|root|tmp|work|Users|private|var)(?:/[^\s\"'\\,}\]]*)?(?!\w)"),
    "a long random text": re.compile(
        r"(?<![A-Za-z0-9+_-])(?=[\w+-]*[a-z])(?=[\w+-]*[A-Z])(?=[\w+-]*[0-9])[A-Za-z0-9+_-]{40,}={0,2}"
    ),
    "an address of this machine": re.compile(r"(?:127\.0\.0\.1|localhost|\[::1\]):\d+"),
}
"""Forbidden kinds of text, by name."""


class Scrubber:
    """Redacts exchanges of one backend.

    Headers that are not listed are removed, and credentials keep only the name of their header. In bodies and queries,
    the text of keys that are not listed is redacted. In other texts, known secrets and texts that look like secrets are
    redacted. Numbers, true, false and null are kept.

    Args:
        backend: Backend whose lists of keys apply.
        secrets: Texts that must not be stored anywhere.
        replace: Texts with their replacements, such as a directory with a neutral name.

    Attributes:
        replacements: All texts that are replaced, with their replacements, longest first.
    """

    def __init__(self, backend: str, *, secrets: Iterable[str] = (), replace: Mapping[str, str] | None = None) -> None:
        self.backend = backend
        self._keys = KEYS[backend]
        swaps = dict.fromkeys((secret for secret in secrets if secret), REDACTED) | dict(replace or {})
        self.replacements = dict(sorted(swaps.items(), key=lambda swap: len(swap[0]), reverse=True))

    def request(self, request: Request) -> Request:
        """Return a redacted request: vcrpy's `before_record_request`."""
        clean = copy.copy(request)
        clean.uri = self.address(request.uri)
        clean.headers = self.headers(request.headers, REQUEST_HEADERS)
        clean.body = self.body(request.body)
        return clean

    def response(self, response: dict[str, Any]) -> dict[str, Any]:
        """Return a redacted response: vcrpy's `before_record_response`."""
        clean = copy.deepcopy(response)
        clean["headers"] = self.headers(response["headers"], RESPONSE_HEADERS)
        clean["body"]["string"] = self.body(response["body"]["string"])
        return clean

    def headers(self, headers: Mapping[str, Any], listed: Iterable[str]) -> dict[str, Any]:
        """Return the listed headers, with names in lower case."""
        kept: dict[str, Any] = {}
        for name, value in headers.items():
            if name.lower() in listed:
                is_secret = name.lower() in CREDENTIAL_HEADERS
                kept[name.lower()] = redacted_credential(value) if is_secret else self._each(value)
        return kept

    def address(self, uri: str) -> str:
        """Return a URL with a neutral host and a redacted query."""
        parts = urlsplit(uri)
        query = [
            (key, self.text(value) if key.partition("[")[0] in self._keys or value.isdecimal() else REDACTED)
            for key, value in parse_qsl(parts.query, keep_blank_values=True)
        ]
        host = f"{self.backend}.test"
        return urlunsplit(("http", host, self.text(parts.path), urlencode(query, safe="[]:"), ""))

    def body(self, body: bytes | str | None) -> bytes:
        """Return a redacted body: JSON key by key, anything else as text."""
        text = (body or b"").decode("utf-8", errors="replace") if not isinstance(body, str) else body
        try:
            value = json.loads(text)
        except ValueError:
            return self.text(text).encode()
        clean = self.value(value)
        return text.encode() if clean == value else json.dumps(clean, ensure_ascii=False).encode()

    def value(self, value: Any) -> Any:
        """Return a redacted JSON value."""
        if isinstance(value, dict):
            return {self.text(key): self._member(key, item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.value(item) for item in value]
        return self.text(value) if isinstance(value, str) else value

    def text(self, text: str) -> str:
        """Return a text without known secrets and texts that look like secrets."""
        for known, other in self.replacements.items():
            text = text.replace(known, other)
        for suspicion in SUSPICIONS.values():
            text = suspicion.sub(REDACTED, text)
        return text

    def _each(self, value: Any) -> Any:
        return [self.text(item) for item in value] if isinstance(value, list) else self.text(value)

    def _member(self, key: str, item: Any) -> Any:
        if key in OPEN_KEYS:
            return self._open(item)
        return self.value(item) if key in self._keys else redacted(item)

    def _open(self, value: Any) -> Any:
        """Return a redacted value whose keys are chosen by the user."""
        if isinstance(value, dict):
            return {self.text(key): self._open(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self._open(item) for item in value]
        return self.text(value) if isinstance(value, str) else value


def redacted_credential(value: Any) -> str:
    """Return a credential without its secret part. The name of its scheme is kept."""
    text = str(value[0] if isinstance(value, list) else value)
    scheme = _SCHEME.match(text)
    return f"{scheme[0]}{REDACTED}" if scheme else REDACTED


def redacted(value: Any) -> Any:
    """Return a JSON value with all texts redacted."""
    if isinstance(value, dict):
        return {REDACTED if _is_own_name(key) else key: redacted(item) for key, item in value.items()}
    if isinstance(value, list):
        return [redacted(item) for item in value]
    return REDACTED if isinstance(value, str) and value else value


def _is_own_name(key: str) -> bool:
    """Whether a key is not a name of the API but, for example, an id."""
    return re.fullmatch("[A-Za-z][A-Za-z_]*", key) is None
