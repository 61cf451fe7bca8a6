"""Resources of a session: mounted files, repositories and memory stores.

The emulators store neither files nor memory stores, so they accept any id of a file or a memory store.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from polysession_managed_agents.emulator.validation import Json, invalid, need, only, take, take_typed_objects

_INSTRUCTIONS_CHARS = 4096
_CHECKOUTS = {"branch": "name", "commit": "sha"}


@dataclass(frozen=True, slots=True)
class MountKind:
    """A type of resource.

    Attributes:
        source: The required field, which names the source.
        optional: The optional fields.
        mount_root: The directory of the default mount path.
        secret: The field that responses leave out; None for a type without a secret.
    """

    source: str
    optional: frozenset[str]
    mount_root: str
    secret: str | None = None


FILE = MountKind("file_id", frozenset({"mount_path"}), "/mnt/session/uploads")
MEMORY_STORE = MountKind("memory_store_id", frozenset({"access", "instructions"}), "/mnt/memory")


def repository(secret: str) -> MountKind:
    """Return the type of a repository that is cloned with a secret in this field."""
    return MountKind("url", frozenset({secret, "mount_path", "checkout"}), "/workspace", secret)


@dataclass(slots=True)
class Mount:
    """A resource that is mounted in a session.

    Attributes:
        fields: The fields that responses show: type, mount path and source, never a secret.
    """

    id: str
    fields: Json
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class MountRules:
    """The rules of one backend for mounted resources.

    Attributes:
        kinds: The types of resources, by name.
        new_id: Returns the id for a new resource.
        new_file_id: Returns the id for the mounted copy of a file; None if the copy keeps the id of the original.
    """

    kinds: Mapping[str, MountKind]
    new_id: Callable[[], str]
    new_file_id: Callable[[], str] | None = None

    def read_all(self, body: Json, now: datetime) -> dict[str, Mount]:
        """Read the resources in the body of a new session. Returns them by id."""
        mounts = [self._mount(given, now) for given in take_typed_objects(body, "resources")]
        return {mount.id: mount for mount in mounts}

    def read_added(self, body: Json) -> Mount:
        """Read a resource that is added to an existing session. It must be a file."""
        if need(body, "type", str) != "file":
            raise invalid("Only resources of type 'file' can be added to a session.", "type")
        return self._mount(body, datetime.now(UTC))

    def rotate_secret(self, mount: Mount, body: Json) -> None:
        """Accept a new secret for a repository. No other field of a resource can be changed."""
        name = self.kinds[mount.fields["type"]].secret
        if name is None:
            raise invalid(f"Resources of type {mount.fields['type']!r} have no secret.")
        only(body, {name})
        need(body, name, str)
        mount.updated_at = datetime.now(UTC)

    def _mount(self, given: Json, now: datetime) -> Mount:
        return Mount(id=self.new_id(), fields=self._read(given), created_at=now, updated_at=now)

    def _read(self, given: Json) -> Json:
        if given["type"] not in self.kinds:
            raise invalid(
                f"Field 'type' must be one of {', '.join(sorted(self.kinds))}.",
                "resources",
            )
        kind = self.kinds[given["type"]]
        only(given, {"type", kind.source} | kind.optional)
        source = need(given, kind.source, str)
        for name in kind.optional - {"checkout"}:
            take(given, name, str)
        _check_checkout(given)
        _check_memory_store(given)
        fields = {name: value for name, value in given.items() if value is not None and name != kind.secret}
        fields.setdefault("mount_path", f"{kind.mount_root}/{_mount_name(source)}")
        if given["type"] == "memory_store":
            fields.setdefault("access", "read_write")
        if given["type"] == "file" and self.new_file_id is not None:
            fields["file_id"] = self.new_file_id()
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
        raise invalid(f"Field 'instructions' may have at most {_INSTRUCTIONS_CHARS} characters.", "resources")
