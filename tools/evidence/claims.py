"""The evidence that a test declares."""

from __future__ import annotations

import functools
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final

import pytest

from polysession.plugins import installed_providers, load_provider
from polysession.testing import features_shown
from tools.recordings.inventory import NAMED, read_header
from tools.recordings.provenance import CASSETTES

BACKENDS: Final = frozenset(installed_providers())
"""The installed providers. A provider that a test invents is not evidence."""

_KINDS: Final[Mapping[str, str]] = {"emulated": "emulator", "recorded": "recorded", "live": "live"}


@dataclass(frozen=True)
class Claim:
    """The evidence of a test that passes.

    Attributes:
        test: Node id of the test, without parameters.
        backend: Name of the provider.
        kind: `emulator`, `judge`, `documented`, `recorded` or `live`.
        by: Name and version of the service that answered, or of the package that judged.
        features: The declared features. None: no declaration, so the features that it uses count.
        must_succeed: Whether a feature counts only if its operation succeeded through our client. False if the test
            uses another client, or if it shows that a feature is rejected.
    """

    test: str
    backend: str
    kind: str
    by: str = ""
    features: tuple[str, ...] | None = None
    must_succeed: bool = True


def claim_of(item: pytest.Item) -> Claim | None:
    """Return the claim of a collected test; None if it is not evidence for a backend.

    Raises:
        pytest.UsageError: Its mark names a package that is not installed.
        BadEvidence: The cassette that it replays has no header.
    """
    function: Any = getattr(item, "function", None)
    test = item.nodeid.partition("[")[0]
    shown = tuple(feature.value for feature in features_shown(function)) if function else ()
    mark = item.get_closest_marker("evidence")
    if mark is not None:
        return _marked(item, test, shown, *mark.args, **mark.kwargs)
    file = next((found.args[0] for kind in NAMED if (found := item.get_closest_marker(kind))), None)
    if file is not None and not (CASSETTES / file).exists():
        return None  # a test that sends nothing has no cassette
    if file is not None:
        header = _header(CASSETTES / file)
        return Claim(test, header.backend, header.kind, f"{header.service} {header.version}", shown or None)
    cls: Any = getattr(item, "cls", None)
    if getattr(cls, "provider", None) in BACKENDS and hasattr(cls, "evidence"):
        kind = _KINDS[cls.evidence]
        by = _version_of(cls.provider, item.config.getoption("agentscope_python")) if kind == "live" else ""
        return Claim(test, cls.provider, kind, by, shown or _refused(item), must_succeed=bool(shown))
    return None


def _marked(
    item: pytest.Item, test: str, shown: tuple[str, ...], backend: str, kind: str, *, by: str | None = None
) -> Claim:
    judge = "" if by is None else _version_of(by, item.config.getoption("agentscope_python"))
    return Claim(test, backend, kind, judge, shown or None, must_succeed=kind != "judge")


def _refused(item: Any) -> tuple[str, ...]:
    """Return the unsupported feature whose rejection the contract's test of declarations shows."""
    feature: Any = getattr(getattr(item, "callspec", None), "params", {}).get("feature")
    if feature is None or load_provider(item.cls.provider).support(feature).support:
        return ()
    return (feature.value,)


_header = functools.cache(read_header)


@functools.cache
def _version_of(package: str, elsewhere: str | None) -> str:
    """Return a package and its version, from this environment or from that of the service."""
    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError:
        if elsewhere is None:
            raise pytest.UsageError(f"a test is marked as judged by {package}: install it") from None
    code = f"from importlib.metadata import version; print(version({package!r}))"
    ran = subprocess.run([elsewhere, "-c", code], capture_output=True, check=True, text=True)  # noqa: S603
    return f"{package} {ran.stdout.strip()}"
