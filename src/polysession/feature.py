"""What a provider can do, declared as data."""

from __future__ import annotations

from enum import Enum, StrEnum
from typing import NamedTuple


class Feature(StrEnum):
    """An operation, or a field that a caller may write or filter by.

    The value is the name shown in errors and tables. A feature that a provider does not declare is unsupported, so
    that older providers survive a new feature.
    """

    CREATE = "sessions.create"
    GET = "sessions.get"
    LIST = "sessions.list"
    UPDATE = "sessions.update"
    ARCHIVE = "sessions.archive"
    DELETE = "sessions.delete"
    CANCEL = "sessions.cancel"
    SEND = "sessions.send"
    STREAM = "sessions.stream"
    RUN = "sessions.run"
    EVENTS = "sessions.events"
    MESSAGES = "sessions.messages"
    ANSWER = "sessions.answer"
    PENDING_ACTIONS = "sessions.pending_actions"
    AGENT_CREATE = "agents.create"
    AGENT_GET = "agents.get"
    AGENT_LIST = "agents.list"

    CREATE_AGENT = "sessions.create agent"
    CREATE_ENVIRONMENT = "sessions.create environment"
    CREATE_WORKSPACE = "sessions.create workspace"
    CREATE_TITLE = "sessions.create title"
    CREATE_METADATA = "sessions.create metadata"
    CREATE_TAGS = "sessions.create tags"
    CREATE_CAPABILITIES = "sessions.create capabilities"
    CREATE_MODEL = "sessions.create model"
    CREATE_PERMISSION_MODE = "sessions.create permission_mode"

    UPDATE_TITLE = "sessions.update title"
    UPDATE_METADATA = "sessions.update metadata"
    UPDATE_TAGS = "sessions.update tags"
    EDIT_TAGS = "sessions.update add_tags/remove_tags"
    UPDATE_MODEL = "sessions.update model"
    UPDATE_PERMISSION_MODE = "sessions.update permission_mode"
    CLEAR_TITLE = "sessions.update title=None"
    CLEAR_METADATA = "sessions.update metadata=None"
    CLEAR_TAGS = "sessions.update tags=None"
    CLEAR_MODEL = "sessions.update model=None"
    CLEAR_PERMISSION_MODE = "sessions.update permission_mode=None"

    LIST_AGENT = "sessions.list agent"
    LIST_STATUSES = "sessions.list statuses"
    LIST_TITLE = "sessions.list title_contains"
    LIST_TAGS = "sessions.list tags"
    LIST_METADATA = "sessions.list metadata"
    LIST_ARCHIVED = "sessions.list include_archived"
    LIST_CREATED = "sessions.list created_after/created_before"
    LIST_OLDEST_FIRST = "sessions.list oldest_first"
    LIST_LIMIT = "sessions.list limit"

    SEND_IMAGE = "sessions.send image"
    SEND_DOCUMENT = "sessions.send document"
    ANSWER_APPROVAL = "sessions.answer approval"
    ANSWER_OUTPUT = "sessions.answer output"

    AGENT_MODEL = "agents.create model"
    AGENT_SYSTEM_PROMPT = "agents.create system_prompt"
    AGENT_DESCRIPTION = "agents.create description"


class Support(Enum):
    """How a provider offers a feature. `UNSUPPORTED` is false in a condition; the others are true."""

    NATIVE = "native"
    EMULATED = "emulated"
    UNSUPPORTED = "unsupported"

    def __bool__(self) -> bool:
        return self is not Support.UNSUPPORTED


class ResumeContract(Enum):
    """How a backend lets a broken stream go on.

    `SERVER_REPLAY`: it replays what came after a given event. `CURRENT_RUN_REPLAY`: it replays the turn that is going
    on, from its start. `LIST_AND_DEDUPE`: what was missed is in the list of events. `NONE`: what was missed is lost.
    """

    SERVER_REPLAY = "server_replay"
    CURRENT_RUN_REPLAY = "current_run_replay"
    LIST_AND_DEDUPE = "list_and_dedupe"
    NONE = "none"


class FeatureSupport(NamedTuple):
    """A provider's declaration for one feature.

    Attributes:
        support: How it is offered.
        note: For `EMULATED` what it costs; for `UNSUPPORTED` why, and what to do instead.
    """

    support: Support
    note: str = ""


def native(note: str = "") -> FeatureSupport:
    """Declare that the backend itself does it."""
    return FeatureSupport(Support.NATIVE, note)


def emulated(cost: str) -> FeatureSupport:
    """Declare that the provider does it with other calls, at this cost."""
    return FeatureSupport(Support.EMULATED, cost)


def unsupported(hint: str) -> FeatureSupport:
    """Declare that it cannot be done, with the reason or the way round."""
    return FeatureSupport(Support.UNSUPPORTED, hint)
