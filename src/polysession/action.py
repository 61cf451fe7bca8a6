"""Pending actions, and the answers to them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Final, Literal, Never, TypeAlias

from pydantic import ConfigDict, Field, JsonValue, SerializationInfo, TypeAdapter

from polysession.record import JsonObject, ReceivedRecord, TypedRecord


class ActionRecord(ReceivedRecord, TypedRecord):
    """Base of the pending actions.

    Attributes:
        id: Id of the action; an answer may name the action by it.
        group: Actions with the same group are answered together and in order. None if the action is answered alone.
        author: Name of the waiting agent in a session with several agents, else None.
        reference: Opaque text with the facts that an answer needs. With it, another process can answer a stored action.
    """

    id: str
    group: str | None = None
    author: str | None = None
    reference: str = Field(default="", repr=False)


class ToolApproval(ActionRecord):
    """The agent wants to run a tool, and waits for approval.

    Attributes:
        type: Always `approval`.
        name: The tool.
        arguments: The arguments of the call.
    """

    type: Literal["approval"] = "approval"
    name: str
    arguments: JsonObject


class ToolExecution(ActionRecord):
    """The agent wants the caller to run a tool, and waits for its output.

    Attributes:
        type: Always `execution`.
        name: The tool.
        arguments: The arguments of the call.
    """

    type: Literal["execution"] = "execution"
    name: str
    arguments: JsonObject


class Question(ActionRecord):
    """The agent asks a question, and waits for a reply.

    Attributes:
        type: Always `question`.
        prompt: The question.
        options: The replies to choose from; empty for any reply.
        response_schema: JSON schema of the reply; None if the backend gives none.
        payload: The backend's own object, with its further fields.
    """

    type: Literal["question"] = "question"
    prompt: str
    options: tuple[str, ...] = ()
    response_schema: JsonObject | None = None
    payload: JsonObject = Field(default_factory=dict)


PendingAction: TypeAlias = ToolApproval | ToolExecution | Question
"""Anything that an agent waits for; see `action.type`."""

StoredAction: TypeAlias = Annotated[PendingAction, Field(discriminator="type")]
ACTION: Final[TypeAdapter[PendingAction]] = TypeAdapter(StoredAction)
"""Reads a stored pending action."""


class AnswerRecord(TypedRecord):
    """Base of the answers.

    Attributes:
        action: The action that is answered, or its id.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    action: StoredAction | str

    @property
    def action_id(self) -> str:
        """Id of the action that is answered."""
        return self.action if isinstance(self.action, str) else self.action.id


class Approve(AnswerRecord):
    """Let the tool run.

    Attributes:
        type: Always `approve`.
        arguments: Arguments that replace the agent's, if the backend allows it. None keeps the agent's arguments.
    """

    type: Literal["approve"] = "approve"
    arguments: JsonObject | None = None

    def __init__(
        self, action: PendingAction | str, *, arguments: Mapping[str, Any] | None = None, **fields: Never
    ) -> None:
        super().__init__(**{"action": action, "arguments": arguments, **fields})


class Deny(AnswerRecord):
    """Do not let the tool run.

    Attributes:
        type: Always `deny`.
        reason: Reason for the agent. None gives no reason.
    """

    type: Literal["deny"] = "deny"
    reason: str | None = None

    def __init__(self, action: PendingAction | str, reason: str | None = None, **fields: Never) -> None:
        super().__init__(**{"action": action, "reason": reason, **fields})


class ToolOutput(AnswerRecord):
    """The output of a tool that the caller ran.

    Attributes:
        type: Always `output`.
        content: The output as text.
        is_error: Whether the tool failed.
    """

    type: Literal["output"] = "output"
    content: str
    is_error: bool = False

    def __init__(self, action: PendingAction | str, content: str, *, is_error: bool = False, **fields: Never) -> None:
        super().__init__(**{"action": action, "content": content, "is_error": is_error, **fields})


class Reply(AnswerRecord):
    """The reply to a question.

    Attributes:
        type: Always `reply`.
        value: The reply: text, or another JSON value where the question has a response schema.
    """

    type: Literal["reply"] = "reply"
    value: JsonValue

    def _always_dumped(self, info: SerializationInfo) -> dict[str, Any]:
        """A reply of null is one, too."""
        return {**super()._always_dumped(info), "value": self.value}

    def __init__(self, action: PendingAction | str, value: JsonValue, **fields: Never) -> None:
        super().__init__(**{"action": action, "value": value, **fields})


Answer: TypeAlias = Approve | Deny | ToolOutput | Reply
"""Any answer; see `answer.type`."""

ANSWER: Final[TypeAdapter[Answer]] = TypeAdapter(Annotated[Answer, Field(discriminator="type")])
"""Reads a stored answer."""
