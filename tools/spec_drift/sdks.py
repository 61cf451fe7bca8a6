"""Descriptions from the installed official SDKs."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterable, Mapping
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, get_args

from tools.spec_drift.fingerprint import Fingerprint
from tools.spec_drift.python_types import PythonTypes
from tools.spec_drift.scope import Scope, route

_LITERAL: Final = re.compile(r"Literal\[([^\]]*)\]")
_QODER_CALL: Final = re.compile(r'"""(GET|POST|PUT|PATCH|DELETE) (/[^\s.?]*)')
_ANTHROPIC_CALL: Final = re.compile(
    r'self\._(get_api_list|get|post|put|patch|delete)\(\s*(?:path_template\(\s*)?"(/v1/[^"]*)"'
)
_LANGGRAPH_CALL: Final = re.compile(
    r'self\.http\.(get|post|put|patch|delete|stream|request_reconnect)\(\s*f?"(/[^"]*)"(?:,\s*"([A-Z]+)")?'
)
_EVERRUNS_CALL: Final = re.compile(r'self\._client\._(get|post|put|patch|delete)\w*\(\s*f?"(/[^"]*)"')
_EVERRUNS_LIST: Final = re.compile(r'path = (?:_with_query\(\s*)?f?"(/[^"]*)"')


def qoder(scope: Scope) -> Fingerprint:
    """Return the description from `qca-sdk`. Its requests have enums, its responses have none."""
    types = import_module("qca.managed.types")
    package = Path(inspect.getfile(types)).parents[1] / "resources"
    sources = [path.read_text() for path in sorted(package.rglob("*.py"))]
    calls = (route(method, path) for source in sources for method, path in _QODER_CALL.findall(source))
    terminal: frozenset[str] = getattr(
        import_module("qca.common._resumable_streaming"), "_TERMINAL_EVENT_TYPES", frozenset()
    )
    sent = [name for name in dir(types) if name.endswith("EventParams")]
    previewed = _literals(_fields(types, "SessionEventStreamParams").get("event_deltas", ""))
    event_types = {value for name in sent for value in _literals(_fields(types, name).get("type", ""))}
    return _fingerprint("qca-sdk", types, scope, event_types | terminal | set(previewed), calls)


def anthropic(scope: Scope) -> Fingerprint:
    """Return the description from the source of `anthropic`.

    Importing it would take seconds.
    """
    package = _folder("anthropic")
    types = package / "types"
    read = PythonTypes((types / "beta", types / "beta/sessions", types), "BetaManagedAgents")
    sources = [path.read_text(encoding="utf-8") for path in sorted((package / "resources").rglob("*.py"))]
    calls = [
        route("get" if verb == "get_api_list" else verb, path)
        for source in sources
        for verb, path in _ANTHROPIC_CALL.findall(source)
    ]
    events = [read.values(name) for name in ("StreamSessionEvents", "SessionEventType", "EventParams")]
    objects = {name: read.fields(name) for name in scope.objects}
    enums = {place: read.values(place) for place in scope.enums}
    return _known("anthropic", objects, enums, {kind for each in events for kind in each}, scope.routes_in(calls))


def langgraph(scope: Scope) -> Fingerprint:
    """Return the description from the source of `langgraph-sdk`.

    Its requests are arguments of methods, not types.
    """
    package = _folder("langgraph_sdk")
    read = PythonTypes([package])
    sources = [path.read_text(encoding="utf-8") for path in sorted((package / "_sync").glob("*.py"))]
    calls = [route(named or verb, path) for source in sources for verb, path, named in _LANGGRAPH_CALL.findall(source)]
    objects = {name: read.fields(name) for name in scope.objects}
    enums = {place: read.values(place) for place in scope.enums}
    return _known("langgraph-sdk", objects, enums, read.values("StreamMode"), scope.routes_in(calls))


def _folder(package: str) -> Path:
    spec = find_spec(package)
    assert spec is not None
    return Path(str(spec.origin)).parent


def everruns(scope: Scope) -> Fingerprint:
    """Return the description from `everruns-sdk`. It names only the event types that it uses."""
    models = import_module("everruns_sdk.models")
    source = inspect.getsource(import_module("everruns_sdk.client"))
    others = [inspect.getsource(import_module(f"everruns_sdk.{name}")) for name in ("agent", "sse")]
    looked_for = {
        each for text in others for each in re.findall(r'"((?:output|turn|reason|tool|session)\.[a-z_.]+)"', text)
    }
    calls = [route(method, f"/v1{path}") for method, path in _EVERRUNS_CALL.findall(source)]
    calls += [route("get", f"/v1{path}") for path in _EVERRUNS_LIST.findall(source)]
    return _fingerprint("everruns-sdk", models, scope, looked_for, calls)


def _fingerprint(
    package: str, module: Any, scope: Scope, event_types: Iterable[str], calls: Iterable[str]
) -> Fingerprint:
    objects = {name: _fields(module, name) for name in scope.objects}
    enums = {place: _values(module, place) for place in scope.enums}
    return _known(package, objects, enums, event_types, scope.routes_in(calls))


def _known(
    package: str,
    objects: Mapping[str, Mapping[str, str]],
    enums: Mapping[str, tuple[str, ...]],
    event_types: Iterable[str],
    routes: tuple[str, ...],
) -> Fingerprint:
    """Return the description from a package, without objects and enums that it lacks."""
    return Fingerprint(
        package,
        version(package),
        {name: fields for name, fields in objects.items() if fields},
        {place: values for place, values in enums.items() if values},
        tuple(sorted(event_types)),
        routes,
    )


def _fields(module: Any, name: str) -> dict[str, str]:
    """Return annotations as written: names on the wire, and the SDK's types."""
    found = getattr(module, name, None)
    models = getattr(found, "model_fields", {})
    return {
        getattr(models.get(key), "alias", None) or key: str(getattr(annotation, "__forward_arg__", annotation))
        for key, annotation in getattr(found, "__annotations__", {}).items()
        if not key.startswith("_") and key != "model_config"
    }


def _values(module: Any, place: str) -> tuple[str, ...]:
    name, _, field = place.partition(".")
    values = _literals(_fields(module, name).get(field, "")) if field else get_args(getattr(module, name, None))
    return tuple(sorted(str(value) for value in values))


def _literals(annotation: str) -> list[str]:
    return [str(value) for inner in _LITERAL.findall(annotation) for value in ast.literal_eval(f"[{inner}]")]
