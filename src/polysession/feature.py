"""Features of a provider, declared as data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum, StrEnum
from typing import NamedTuple

from polysession.errors import UsageError


class Feature(StrEnum):
    """An operation, or a field that a caller may write or filter by.

    The value is the name in errors and tables. A feature that a provider does not declare is unsupported, so that older
    providers work with a newer version that has more features.

    Attributes:
        operation: The operation, such as `"sessions.create"`.
        field: The field of the operation, such as `"title"`; empty for the operation itself.
    """

    SESSIONS_CREATE = "sessions.create"
    SESSIONS_GET = "sessions.get"
    SESSIONS_LIST = "sessions.list"
    SESSIONS_UPDATE = "sessions.update"
    SESSIONS_ARCHIVE = "sessions.archive"
    SESSIONS_DELETE = "sessions.delete"
    SESSIONS_CANCEL = "sessions.cancel"
    SESSIONS_SEND = "sessions.send"
    SESSIONS_STREAM = "sessions.stream"
    SESSIONS_RUN = "sessions.run"
    SESSIONS_EVENTS = "sessions.events"
    SESSIONS_MESSAGES = "sessions.messages"
    SESSIONS_ANSWER = "sessions.answer"
    SESSIONS_PENDING_ACTIONS = "sessions.pending_actions"
    SESSIONS_REJOIN = "sessions.rejoin"
    AGENTS_CREATE = "agents.create"
    AGENTS_GET = "agents.get"
    AGENTS_LIST = "agents.list"
    AGENTS_UPDATE = "agents.update"
    AGENTS_ARCHIVE = "agents.archive"
    AGENTS_DELETE = "agents.delete"
    ENVIRONMENTS_CREATE = "environments.create"
    ENVIRONMENTS_GET = "environments.get"
    ENVIRONMENTS_LIST = "environments.list"
    MODELS_LIST = "models.list"

    SESSIONS_CREATE_AGENT = "sessions.create agent"
    SESSIONS_CREATE_ENVIRONMENT = "sessions.create environment"
    SESSIONS_CREATE_WORKSPACE = "sessions.create workspace"
    SESSIONS_CREATE_TITLE = "sessions.create title"
    SESSIONS_CREATE_METADATA = "sessions.create metadata"
    SESSIONS_CREATE_TAGS = "sessions.create tags"
    SESSIONS_CREATE_CAPABILITIES = "sessions.create capabilities"
    SESSIONS_CREATE_MODEL = "sessions.create model"
    SESSIONS_CREATE_PERMISSION_MODE = "sessions.create permission_mode"
    SESSIONS_CREATE_ID = "sessions.create id"
    SESSIONS_CREATE_OWNER = "sessions.create owner"
    SESSIONS_CREATE_IDEMPOTENCY_KEY = "sessions.create idempotency_key"

    SESSIONS_UPDATE_TITLE = "sessions.update title"
    SESSIONS_UPDATE_METADATA = "sessions.update metadata"
    SESSIONS_UPDATE_TAGS = "sessions.update tags"
    SESSIONS_UPDATE_TAGS_EDIT = "sessions.update add_tags/remove_tags"
    SESSIONS_UPDATE_MODEL = "sessions.update model"
    SESSIONS_UPDATE_PERMISSION_MODE = "sessions.update permission_mode"
    SESSIONS_UPDATE_TITLE_CLEAR = "sessions.update title=None"
    SESSIONS_UPDATE_METADATA_REMOVE = "sessions.update metadata[key]=None"
    SESSIONS_UPDATE_METADATA_CLEAR = "sessions.update metadata=None"
    SESSIONS_UPDATE_TAGS_CLEAR = "sessions.update tags=None"
    SESSIONS_UPDATE_MODEL_CLEAR = "sessions.update model=None"
    SESSIONS_UPDATE_PERMISSION_MODE_CLEAR = "sessions.update permission_mode=None"

    SESSIONS_LIST_OWNER = "sessions.list owner"
    SESSIONS_LIST_ORIGIN = "sessions.list origin"
    SESSIONS_LIST_AGENT = "sessions.list agent"
    SESSIONS_LIST_STATUSES = "sessions.list statuses"
    SESSIONS_LIST_TITLE_CONTAINS = "sessions.list title_contains"
    SESSIONS_LIST_TAGS = "sessions.list tags"
    SESSIONS_LIST_METADATA = "sessions.list metadata"
    SESSIONS_LIST_INCLUDE_ARCHIVED = "sessions.list include_archived"
    SESSIONS_LIST_CREATED = "sessions.list created_after/created_before"
    SESSIONS_LIST_OLDEST_FIRST = "sessions.list oldest_first"
    SESSIONS_LIST_PAGE_SIZE = "sessions.list page_size"

    SESSIONS_SEND_IMAGE = "sessions.send image"
    SESSIONS_SEND_DOCUMENT = "sessions.send document"
    SESSIONS_SEND_IDEMPOTENCY_KEY = "sessions.send idempotency_key"
    SESSIONS_RUN_IDEMPOTENCY_KEY = "sessions.run idempotency_key"
    SESSIONS_EVENTS_NEWEST_FIRST = "sessions.events newest_first"
    SESSIONS_MESSAGES_NEWEST_FIRST = "sessions.messages newest_first"
    SESSIONS_ANSWER_APPROVAL = "sessions.answer approval"
    SESSIONS_ANSWER_ARGUMENTS = "sessions.answer arguments"
    SESSIONS_ANSWER_OUTPUT = "sessions.answer output"
    SESSIONS_ANSWER_QUESTION = "sessions.answer question"

    AGENTS_CREATE_MODEL = "agents.create model"
    AGENTS_CREATE_SYSTEM_PROMPT = "agents.create system_prompt"
    AGENTS_CREATE_DESCRIPTION = "agents.create description"
    AGENTS_UPDATE_NAME = "agents.update name"
    AGENTS_UPDATE_MODEL = "agents.update model"
    AGENTS_UPDATE_SYSTEM_PROMPT = "agents.update system_prompt"
    AGENTS_UPDATE_DESCRIPTION = "agents.update description"
    AGENTS_UPDATE_SYSTEM_PROMPT_CLEAR = "agents.update system_prompt=None"
    AGENTS_UPDATE_DESCRIPTION_CLEAR = "agents.update description=None"
    ENVIRONMENTS_CREATE_DESCRIPTION = "environments.create description"
    ENVIRONMENTS_CREATE_METADATA = "environments.create metadata"

    @property
    def operation(self) -> str:
        """The operation that the feature is, or belongs to."""
        return self.value.partition(" ")[0]

    @property
    def field(self) -> str:
        """The field of the operation; empty for the operation itself."""
        return self.value.partition(" ")[2]


def find_feature(feature: Feature | str) -> Feature:
    """A feature, given as such or by its value.

    Raises:
        UsageError: There is no such feature; the message names the nearest one.
    """
    if isinstance(feature, Feature):
        return feature
    if isinstance(feature, str) and feature in (known := {each.value: each for each in Feature}):
        return known[feature]
    import difflib  # noqa: PLC0415  (only a wrong name needs it)

    spellings = {**{each.value: each.value for each in Feature}, **{each.name: each.value for each in Feature}}
    close = difflib.get_close_matches(str(feature), spellings, n=1)
    guess = f" Did you mean {spellings[close[0]]!r}?" if close else ""
    raise UsageError(f"unknown feature {feature!r}.{guess}")


class Support(Enum):
    """How a provider offers a feature. `UNSUPPORTED` is false in a condition; the others are true.

    Attributes:
        NATIVE: The backend has it.
        EMULATED: The provider does it with other calls; the note says at which cost.
        UNSUPPORTED: It raises `UnsupportedOperation` before anything is sent.
    """

    NATIVE = "native"
    EMULATED = "emulated"
    UNSUPPORTED = "unsupported"

    def __bool__(self) -> bool:
        return self is not Support.UNSUPPORTED


class ResumeMode(Enum):
    """How a backend lets a broken stream resume.

    Attributes:
        SERVER_REPLAY: The backend replays the events after a given one.
        CURRENT_RUN_REPLAY: The backend replays the running turn from its start.
        LIST_AND_DEDUPE: The list of events has the missed events.
        NONE: Missed events are lost.
    """

    SERVER_REPLAY = "server_replay"
    CURRENT_RUN_REPLAY = "current_run_replay"
    LIST_AND_DEDUPE = "list_and_dedupe"
    NONE = "none"


class TurnLife(Enum):
    """Effect on a running turn when the client leaves its stream.

    Attributes:
        DETACHED: The turn continues.
        ATTENDED: The turn ends, because the backend works only while a client reads.
    """

    DETACHED = "detached"
    ATTENDED = "attended"


class WhenBusy(Enum):
    """Handling of a message that arrives while a turn runs.

    Attributes:
        REFUSED: The backend answers with a conflict.
        QUEUED: The message starts the next turn.
        STEERS: The message becomes input of the running turn.
        UNSAFE: The message may damage the conversation.
        UNKNOWN: It is not documented.
    """

    REFUSED = "refused"
    QUEUED = "queued"
    STEERS = "steers"
    UNSAFE = "unsafe"
    UNKNOWN = "unknown"


class WhenWaiting(Enum):
    """Handling of a message that arrives while the agent waits for an answer.

    Attributes:
        REFUSED: The backend answers with a conflict.
        KEEPS_WAITING: The actions stay pending.
        DROPS_QUESTION: The message starts a turn and the pending actions are dropped.
        TAKEN_AS_ANSWER: The backend would treat the message as the answer, so polysession refuses to send it.
        UNKNOWN: It is not documented.
    """

    REFUSED = "refused"
    KEEPS_WAITING = "keeps_waiting"
    DROPS_QUESTION = "drops_question"
    TAKEN_AS_ANSWER = "taken_as_answer"
    UNKNOWN = "unknown"


class FeatureSupport(NamedTuple):
    """A provider's declaration for one feature.

    Attributes:
        support: How it is offered.
        note: For `EMULATED` the cost; for `UNSUPPORTED` the reason and the alternative.
    """

    support: Support
    note: str = ""


def native(note: str = "") -> FeatureSupport:
    """Declare that the backend itself has the feature."""
    return FeatureSupport(Support.NATIVE, note)


def emulated(cost: str) -> FeatureSupport:
    """Declare that the provider emulates the feature with other calls, at this cost."""
    return FeatureSupport(Support.EMULATED, cost)


def unsupported(hint: str) -> FeatureSupport:
    """Declare that the feature is not available, with the reason or an alternative."""
    return FeatureSupport(Support.UNSUPPORTED, hint)


def declared(
    *,
    native: Mapping[Feature, str] | Iterable[Feature] = (),
    emulated: Mapping[Feature, str] | None = None,
    unsupported: Mapping[Feature, str] | None = None,
    otherwise: str = "",
) -> Mapping[Feature, FeatureSupport]:
    """A provider's declaration of all features.

    Args:
        native: Features of the backend itself, each with an optional note.
        emulated: Features that the provider emulates with other calls, with the cost of each.
        unsupported: Features that are not available, with the reason or an alternative for each.
        otherwise: The reason for all features that are not listed.

    Raises:
        ValueError: A feature is declared twice.
    """
    notes = native if isinstance(native, Mapping) else dict.fromkeys(native, "")
    groups = ((Support.NATIVE, notes), (Support.EMULATED, emulated or {}), (Support.UNSUPPORTED, unsupported or {}))
    found: dict[Feature, FeatureSupport] = {}
    for support, group in groups:
        twice = sorted(found.keys() & group.keys())
        if twice:
            raise ValueError(f"{twice[0].name} is declared twice")
        found |= {feature: FeatureSupport(support, note) for feature, note in group.items()}
    return {feature: found.get(feature, FeatureSupport(Support.UNSUPPORTED, otherwise)) for feature in Feature}
