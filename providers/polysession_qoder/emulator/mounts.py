"""Resources of a Qoder session: files, repositories and memory stores, mounted in its environment.

The emulator keeps neither files nor memory stores, so any id of one is accepted.

Backend: https://docs.qoder.com/cloud-agents/api/sessions/schemas (read 2026-11)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from polysession.emulation import Generation, hex_id
from polysession_qoder.emulator.validation import Json, invalid, need, only, take, take_typed_objects

_INSTRUCTIONS_CHARS = 4096
_ROTATED = {"github_repository": "authorization_token", "git_repository": "password"}
_SECRETS = frozenset(_ROTATED.values())


@dataclass(frozen=True, slots=True)
class _Kind:
    """One type of resource: the field that names its source, the other fields, and the default mount root."""

    source: str
    optional: frozenset[str]
    mount_root: str


_KINDS: Mapping[str, _Kind] = {
    "file": _Kind("file_id", frozenset({"mount_path"}), "/mnt/session/uploads"),
    "github_repository": _Kind("url", frozenset({"authorization_token", "mount_path", "checkout"}), "/workspace"),
    "git_repository": _Kind("url", frozenset({"password", "mount_path", "checkout"}), "/workspace"),
    "memory_store": _Kind("memory_store_id", frozenset({"access", "instructions"}), "/mnt/memory"),
}
_TYPES: Mapping[Generation, frozenset[str]] = {"current": frozenset(_KINDS), "legacy": frozenset({"file"})}
_CHECKOUTS = {"branch": "name", "commit": "sha"}


@dataclass(slots=True)
class Mount:
    """Something mounted in a session.

    Attributes:
        fields: What may be read back: type, mount path and source, never a secret.
    """

    id: str
    fields: Json
    created_at: datetime
    updated_at: datetime


def read_mounts(body: Json, generation: Generation, now: datetime) -> dict[str, Mount]:
    """The resources that a new session asks for, by id."""
    mounts = [_mount(_read(given, generation), now) for given in take_typed_objects(body, "resources")]
    return {mount.id: mount for mount in mounts}


def read_mount(body: Json) -> Mount:
    """The resource that is added to a session; only files can be."""
    if need(body, "type", str) != "file":
        raise invalid("Only resources of type 'file' can be added to a session.", "type")
    return _mount(_read(body, "current"), datetime.now(UTC))


def rotate_secret(mount: Mount, body: Json) -> None:
    """Take a new secret of a repository; nothing else of a resource can be changed."""
    name = _ROTATED.get(mount.fields["type"])
    if name is None:
        raise invalid(f"Resources of type {mount.fields['type']!r} have no secret.")
    only(body, {name})
    need(body, name, str)
    mount.updated_at = datetime.now(UTC)


def _mount(fields: Json, now: datetime) -> Mount:
    return Mount(id=hex_id("sesr_", 24), fields=fields, created_at=now, updated_at=now)


def _read(given: Json, generation: Generation) -> Json:
    if given["type"] not in _TYPES[generation]:
        raise invalid(f"Resources of type {given['type']!r} are not known.", "resources")
    kind = _KINDS[given["type"]]
    only(given, {"type", kind.source} | kind.optional)
    source = need(given, kind.source, str)
    for name in kind.optional - {"checkout"}:
        take(given, name, str)
    _check_checkout(given)
    _check_memory_store(given)
    fields = {name: value for name, value in given.items() if value is not None and name not in _SECRETS}
    fields.setdefault("mount_path", f"{kind.mount_root}/{_mount_name(source)}")
    if given["type"] == "memory_store":
        fields.setdefault("access", "read_write")
    return fields


def _mount_name(source: str) -> str:
    return source.rstrip("/").rpartition("/")[2].removesuffix(".git")


def _check_checkout(given: Json) -> None:
    checkout = take(given, "checkout", dict)
    if checkout is None:
        return
    detail = _CHECKOUTS.get(need(checkout, "type", str))
    if detail is None:
        raise invalid("Field 'checkout.type' must be 'branch' or 'commit'.", "resources")
    only(checkout, {"type", detail})
    need(checkout, detail, str)


def _check_memory_store(given: Json) -> None:
    if given.get("access") not in {None, "read_write", "read_only"}:
        raise invalid("Field 'access' must be 'read_write' or 'read_only'.", "resources")
    if len(given.get("instructions") or "") > _INSTRUCTIONS_CHARS:
        raise invalid(f"Field 'instructions' may have {_INSTRUCTIONS_CHARS} characters.", "resources")
