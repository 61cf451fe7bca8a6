"""Messages of a session, and their blocks."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar, Final, Literal, TypeAlias

from pydantic import ConfigDict, Field, TypeAdapter

from polysession.record import JsonObject, ReceivedRecord, TypedRecord, UtcDatetime, stored_union
from polysession.session import Usage


class TextBlock(TypedRecord):
    """Text.

    Attributes:
        text: The text.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    type: Literal["text"] = "text"
    text: str


class MediaBlock(TypedRecord):
    """An image or a document: exactly one of `url`, `data` and `file_id` is set.

    Attributes:
        type: `image` or `document`.
        url: Its address.
        data: Its bytes in base64.
        file_id: Id of a file that was uploaded to the backend.
        media_type: Such as `image/png`; required with `data`.
        title: Name for people.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    type: Literal["image", "document"]
    url: str | None = None
    data: str | None = Field(default=None, repr=False)
    file_id: str | None = None
    media_type: str | None = None
    title: str | None = None


class ThinkingBlock(TypedRecord):
    """Reasoning of the model.

    Attributes:
        text: The reasoning; empty if the backend does not publish it.
    """

    type: Literal["thinking"] = "thinking"
    text: str


class ToolCallBlock(TypedRecord):
    """A tool call: its id, the tool's name, and the arguments as JSON values.

    Attributes:
        id: Id of the call, shared by its result.
        name: The tool.
        arguments: The arguments, as JSON values.
    """

    type: Literal["tool_call"] = "tool_call"
    id: str
    name: str
    arguments: JsonObject = Field(default_factory=dict)


class ToolResultBlock(TypedRecord):
    """The result of a tool; `is_error` if the tool failed, was denied or was interrupted.

    Attributes:
        tool_call_id: Id of the call.
        text: The result as text.
        is_error: Whether the tool failed, was denied or was interrupted.
    """

    type: Literal["tool_result"] = "tool_result"
    tool_call_id: str
    text: str = ""
    is_error: bool = False


class RawBlock(TypedRecord):
    """A block that is not modelled: `payload` is the backend's own object.

    Attributes:
        payload: The backend's object.
    """

    type: Literal["raw"] = "raw"
    payload: JsonObject


Block: TypeAlias = TextBlock | MediaBlock | ThinkingBlock | ToolCallBlock | ToolResultBlock | RawBlock
"""Any block; see `block.type`."""


StoredBlock: TypeAlias = Annotated[Block, Field(discriminator="type"), stored_union(Block, otherwise=RawBlock)]
BLOCK: Final[TypeAdapter[Block]] = TypeAdapter(StoredBlock)
"""Reads a stored block; one of an unknown type, which a newer version wrote, is a `RawBlock`."""


class Role(StrEnum):
    """The author's role.

    Attributes:
        USER: The caller.
        ASSISTANT: The agent.
        SYSTEM: Instructions.
        UNKNOWN: Another role of the backend, such as one for tool results. A message with tool results has the role
            that the backend gives it.
    """

    USER = "user"
    ASSISTANT = "assistant"
    SYSTEM = "system"
    UNKNOWN = "unknown"


class Message(ReceivedRecord):
    """One message of a session.

    Attributes:
        provider: Name of the provider that read it.
        id: Opaque id.
        session_id: The session.
        role: The author's role.
        content: The blocks, in order.
        usage: Usage of the message; None if the backend does not report it.
        created_at: UTC.
        author: Name of the agent that wrote it in a session with several agents, else None.
    """

    provider: str
    id: str
    session_id: str
    role: Role
    content: tuple[StoredBlock, ...] = ()
    usage: Usage | None = None
    created_at: UtcDatetime | None = None
    author: str | None = None

    @property
    def text(self) -> str:
        """The text blocks, joined."""
        return "".join(block.text for block in self.content if isinstance(block, TextBlock))
