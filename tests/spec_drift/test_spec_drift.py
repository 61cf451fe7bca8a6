"""The installed SDKs say what is written down of them, our code knows it, and each alarm goes off."""

from __future__ import annotations

import json
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

import polysession_everruns.wire as everruns_wire
from polysession_everruns.wire import WireSession
from tools.spec_drift import crates
from tools.spec_drift.__main__ import main
from tools.spec_drift.backends import BACKENDS
from tools.spec_drift.compare import Accepted, Finding, changes, gaps, load_accepted, table
from tools.spec_drift.fingerprint import Fingerprint
from tools.spec_drift.openapi import Document
from tools.spec_drift.ours import Ours
from tools.spec_drift.python_types import PythonTypes
from tools.spec_drift.scope import Scope
from tools.spec_drift.sources import RECORDS, findings, installed_sdks, recorded

BEFORE = Fingerprint(
    "acme-sdk",
    "1.0",
    {"Session": {"id": "str", "title": "Optional[str]"}},
    {"SessionStatus": ("idle", "running")},
    ("turn.started",),
    ("GET /sessions",),
)


EVERRUNS = BACKENDS["everruns"]()


def differences(now: Fingerprint) -> list[tuple[str, str, str, str]]:
    found = changes("acme", "sdk", BEFORE, now)
    return [(each.subject, each.what, each.name, each.detail) for each in found]


@pytest.fixture
def everruns() -> Ours:
    return EVERRUNS


def gaps_of(ours: Ours, accepted: Accepted | None = None) -> list[tuple[str, str, str]]:
    """Entries that only this list has; another test checks the rest."""
    written = load_accepted(RECORDS / "everruns/accepted.json")
    published = recorded("everruns").values()
    found = gaps(ours, published, written if accepted is None else accepted)
    known = set(gaps(EVERRUNS, published, written))
    return [(each.subject, each.what, each.name) for each in found if each not in known]


def test_nothing_has_drifted() -> None:
    found = list(findings(installed_sdks()))

    assert not found, f"run `nox -s spec_drift`, and fix or accept:\n{table(found)}"


def test_every_backend_is_written_down() -> None:
    written = {backend: set(recorded(backend)) for backend in BACKENDS}

    assert written == {
        "agentscope": {"events", "openapi"},
        "anthropic": {"sdk"},
        "everruns": {"crate", "openapi", "sdk"},
        "langgraph": {"sdk"},
        "qoder": {"sdk"},
    }


def test_what_is_written_down_of_a_backend_is_not_empty() -> None:
    for backend, read in BACKENDS.items():
        published = {name for each in recorded(backend).values() for name in (*each.objects, *each.enums)}
        wanted = read().scope

        assert wanted.objects | wanted.enums <= published, backend


@pytest.mark.parametrize(
    ("now", "difference"),
    [
        (replace(BEFORE, version="1.1"), ("acme-sdk", "changed", "version", "1.0 -> 1.1")),
        (replace(BEFORE, objects={"Session": {"id": "str"}}), ("Session", "gone", "title", "")),
        (
            replace(BEFORE, objects={"Session": {**BEFORE.objects["Session"], "owner": "str"}}),
            ("Session", "new", "owner", ""),
        ),
        (
            replace(BEFORE, objects={"Session": {"id": "int", "title": "Optional[str]"}}),
            ("Session", "changed", "id", "str -> int"),
        ),
        (replace(BEFORE, enums={"SessionStatus": ("idle",)}), ("SessionStatus", "gone", "running", "")),
        (replace(BEFORE, enums={"SessionStatus": ("idle", "lost", "running")}), ("SessionStatus", "new", "lost", "")),
        (replace(BEFORE, event_types=("turn.started", "turn.lost")), ("event types", "new", "turn.lost", "")),
        (replace(BEFORE, event_types=()), ("event types", "gone", "turn.started", "")),
        (replace(BEFORE, routes=("GET /sessions", "PUT /sessions")), ("routes", "new", "PUT /sessions", "")),
    ],
)
def test_a_change_of_a_source_is_listed(now: Fingerprint, difference: tuple[str, str, str, str]) -> None:
    assert differences(now) == [difference]


def test_a_field_that_is_renamed_in_a_wire_model_is_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    names = [field.name for field in msgspec.structs.fields(WireSession)]
    renamed = msgspec.defstruct("WireSession", ["name" if name == "title" else name for name in names])
    monkeypatch.setattr(everruns_wire, "WireSession", renamed)

    assert gaps_of(BACKENDS["everruns"]()) == [
        ("Session", "only theirs", "title"),
        ("WireSession", "only ours", "name"),
    ]


def test_a_field_is_known_by_its_name_on_the_wire(monkeypatch: pytest.MonkeyPatch) -> None:
    spent = ("usage", Any, msgspec.field(default=None, name="spent"))
    model = msgspec.defstruct("WireSession", [spent], bases=(WireSession,))
    monkeypatch.setattr(everruns_wire, "WireSession", model)

    assert gaps_of(BACKENDS["everruns"]()) == [
        ("Session", "only theirs", "usage"),
        ("WireSession", "only ours", "spent"),
    ]


def test_an_event_type_that_our_table_lacks_is_listed(everruns: Ours) -> None:
    forgetful = replace(everruns, event_types=everruns.event_types - {"turn.sealed"})

    assert gaps_of(forgetful) == [("event types", "only theirs", "turn.sealed")]


def test_an_enum_value_that_our_table_lacks_is_listed(everruns: Ours) -> None:
    forgetful = replace(everruns, enums={**everruns.enums, "MessageRole": everruns.enums["MessageRole"] - {"agent"}})

    assert gaps_of(forgetful) == [("MessageRole", "only theirs", "agent")]


def test_a_route_that_nobody_publishes_is_listed(everruns: Ours) -> None:
    inventive = replace(everruns, routes=(*everruns.routes, "POST /v1/sessions/{}/archive"))

    assert gaps_of(inventive) == [("routes", "only ours", "POST /v1/sessions/{}/archive")]


def test_an_acceptance_without_a_gap_is_listed(everruns: Ours) -> None:
    accepted = load_accepted(RECORDS / "everruns/accepted.json")

    assert gaps_of(everruns, {**accepted, "Session*": {"only theirs": {"why not": ["no_such_field"]}}}) == [
        ("Session*", "accepted in vain", "no_such_field")
    ]


def test_a_gap_needs_a_reason(everruns: Ours) -> None:
    accepted = {
        **load_accepted(RECORDS / "everruns/accepted.json"),
        "ActStartedData": {"only theirs": {"": ["headline"]}},
    }

    assert ("ActStartedData", "only theirs", "headline") in gaps_of(everruns, accepted)


def test_an_event_type_that_a_description_adds_is_listed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    description = {
        "info": {"title": "Everruns API", "version": "0.2.0"},
        "paths": {"/v1/sessions/{session_id}/teleport": {"post": {}}},
        "components": {
            "schemas": {
                "EventData": {"oneOf": [{"$ref": "#/components/schemas/TurnLostData"}]},
                "TurnLostData": {"description": "Data for turn.lost event.\n\nSee also turn.failed."},
            }
        },
    }
    (tmp_path / "openapi.json").write_text(json.dumps(description))

    code = main(["--openapi", f"everruns={tmp_path / 'openapi.json'}"])

    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert code == 1
    assert ["everruns", "openapi", "event", "types", "new", "turn.lost"] in lines
    assert ["everruns", "openapi", "routes", "new", "POST", "/v1/sessions/{}/teleport"] in lines
    assert ["everruns", "openapi", "EventData", "new", "TurnLostData"] in lines
    assert ["everruns", "openapi", "Session", "gone", "title"] in lines
    assert not any(line[:2] == ["everruns", "sdk"] for line in lines)


@pytest.fixture
def no_cargo(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CARGO_HOME", str(tmp_path))


@pytest.mark.usefixtures("no_cargo")
def test_without_a_difference_the_exit_code_is_zero(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    out = capsys.readouterr().out
    assert "anthropic sdk (anthropic " in out
    assert "qoder sdk (qca-sdk " in out
    assert (
        "not available: agentscope events, agentscope openapi, everruns crate, everruns openapi\nno difference\n" in out
    )


def test_a_backend_that_there_is_not_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--openapi", "acme=openapi.json"]) == 2
    assert "backends: agentscope, anthropic, everruns, langgraph, qoder" in capsys.readouterr().err


def test_a_document_is_read() -> None:
    schemas = {
        "Status": {"type": "string", "enum": ["idle", "lost"]},
        "Text": {"properties": {"type": {"const": "text"}, "text": {"type": "string"}}},
        "Image": {"properties": {"type": {"enum": ["image"]}}},
        "Part": {"oneOf": [{"$ref": "#/components/schemas/Text"}, {"allOf": [{"$ref": "#/components/schemas/Image"}]}]},
        "Session": {
            "allOf": [{"properties": {"id": {"type": "string"}}}],
            "properties": {
                "status": {"$ref": "#/components/schemas/Status"},
                "parts": {"type": ["array", "null"], "items": {"$ref": "#/components/schemas/Part"}},
                "labels": {"type": "object", "additionalProperties": {"type": "string"}},
            },
        },
        "AgentEvent": {"anyOf": [{"$ref": "#/components/schemas/Started"}]},
        "Started": {"properties": {"type": {"const": "STARTED"}}},
    }
    listed = {
        "parameters": [{"name": "limit", "in": "query", "schema": {"type": "integer"}}, {"name": "x", "in": "header"}]
    }
    paths = {"/sessions": {"get": listed, "summary": "all"}, "/sessions/{id}": {"delete": {}}, "/other": {"get": {}}}
    scope = Scope(
        frozenset({"Session", "GET /sessions", "Gone"}), frozenset({"Status", "Session.parts.type"}), (" /s",)
    )

    read = Document({"paths": paths, "components": {"schemas": schemas}}).fingerprint("acme", "1", scope)

    assert read == Fingerprint(
        "acme",
        "1",
        {
            "Session": {"id": "string", "status": "Status", "parts": "[Part] | null", "labels": "{string}"},
            "GET /sessions": {"limit": "integer"},
        },
        {"Status": ("idle", "lost"), "Session.parts.type": ("image", "text")},
        ("STARTED",),
        ("DELETE /sessions/{}", "GET /sessions"),
    )


def test_the_types_of_a_package_are_read_from_its_text(tmp_path: Path) -> None:
    (tmp_path / "session.py").write_text(
        "from typing import Optional\n\nfrom .event import AcmeEvent\n\n\n"
        "Status = Literal['idle', 'lost']\n\n\n"
        "class AcmeRecord(BaseModel):\n    id: str\n\n\n"
        "class AcmeSession(AcmeRecord):\n"
        '    """A session."""\n\n'
        "    status: Optional[Status] = None\n"
        '    """Its status."""\n\n'
        "    events: List[AcmeEvent]\n"
        "    model: AcmeModel\n"
    )
    (tmp_path / "event.py").write_text(
        "AcmeEvent: TypeAlias = Annotated[Union[AcmeStarted, Ended], UnionDiscriminator('type')]\n"
        "Kind: TypeAlias = Literal['ended']\n\n\n"
        "class Ended(TypedDict, total=False):\n    type: Required[Kind]\n"
    )
    (tmp_path / "started.py").write_text("class AcmeStarted:\n    type: Literal['started']\n")
    (tmp_path / "kind.py").write_text("Kind: TypeAlias = Literal['another']\n")

    types = PythonTypes([tmp_path], "Acme")

    assert types.fields("Session") == {
        "id": "str",
        "status": "Optional[Status]",
        "events": "List[Event]",
        "model": "Model",
    }
    assert types.values("Session.status") == types.values("Status") == ("idle", "lost")
    assert types.values("Session.events") == types.values("Event") == ("ended", "started")
    assert types.values("Session.model") == types.values("Session.owner") == types.values("Gone.status") == ()
    assert types.fields("Gone") == {}


def test_an_event_that_our_table_of_anthropic_lacks_is_listed() -> None:
    known = BACKENDS["anthropic"]()
    forgetful = replace(known, event_types=known.event_types - {"workflow_run.created"})
    published = recorded("anthropic").values()

    found = [*gaps(forgetful, published, load_accepted(RECORDS / "anthropic/accepted.json"))]
    assert found == [Finding("anthropic", "ours", "event types", "only theirs", "workflow_run.created")]


def crate(folder: Path, events: str) -> Path:
    """An unpacked crate of Everruns' contracts with so many event types."""
    (folder / "src/runtime/events").mkdir(parents=True)
    (folder / "Cargo.toml").write_text('[package]\nname = "everruns-contracts"\nversion = "9.0.0"\n')
    (folder / "src/turn.rs").write_text("pub enum TurnStopReason {\n    EndTurn,\n    /// Refused.\n    Refusal,\n}\n")
    (folder / "src/runtime/message.rs").write_text("pub enum ContentPart {\n    ImageFile(ImageFileContentPart),\n}\n")
    (folder / "src/runtime/events/mod.rs").write_text(events)
    (folder / "src/runtime/events/turn_data.rs").write_text(
        "/// Data of the event.\npub struct TurnSealedData {\n    /// Why.\n    pub reason: Option<String>,\n}\n\n"
        "pub struct OtherData {\n    pub id: TurnId,\n}\n"
    )
    return folder


def test_a_crate_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = tmp_path / "registry/src/index/everruns-contracts-9.0.0"
    crate(kept, 'pub const TURN_SEALED: &str = "turn.sealed";\nconst OTHER: &str = "other.thing";\n')
    monkeypatch.setenv("CARGO_HOME", str(tmp_path))

    found = crates.unpacked("9.0.0")

    assert found == kept
    assert crates.unpacked("9.0.1") is None
    assert crates.everruns_contracts(found, Scope(frozenset({"TurnSealedData"}))) == Fingerprint(
        "everruns-contracts",
        "9.0.0",
        {"TurnSealedData": {"reason": "Option<String>"}},
        {"ContentPart.type": ("image_file",), "TurnStopReason": ("end_turn", "refusal")},
        ("turn.sealed",),
    )


def test_the_crate_that_is_written_down_is_that_of_the_engine_in_use() -> None:
    engine = tomllib.loads((RECORDS.parent / "live/everruns_engine/Cargo.toml").read_text())

    assert engine["dependencies"]["everruns-serve"] == f"={recorded('everruns')['crate'].version}"


def test_an_event_type_that_a_crate_adds_is_listed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = crate(tmp_path, 'pub const TURN_LOST: &str = "turn.lost";\n')

    assert main(["--everruns-crate", str(folder)]) == 1

    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["everruns", "crate", "event", "types", "new", "turn.lost"] in lines
    assert ["everruns", "crate", "everruns-contracts", "changed", "version", "0.50.1", "->", "9.0.0"] in lines


def test_findings_are_told_in_columns() -> None:
    text = table(
        [Finding("everruns", "sdk", "Session", "new", "owner"), Finding("qoder", "ours", "x", "only ours", "y")]
    )

    assert text.splitlines() == [
        "backend   source  subject  what       name   detail",
        "everruns  sdk     Session  new        owner",
        "qoder     ours    x        only ours  y",
    ]
