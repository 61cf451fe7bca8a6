"""Messages: what was said in a session, in blocks."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Field

from polysession.lazy import RawObject
from polysession.session import Record, Usage, UtcDatetime


class TextBlock(Record):
    """Text."""

    type: Literal["text"] = "text"
    text: str


class MediaBlock(Record):
    """An image or a document: by address, by content, or by the id of an uploaded file. Exactly one is given.

    Attributes:
        type: `image` or `document`.
        url: Where it is.
        data: Its bytes in base64.
        file_id: Id of a file that the backend keeps.
        media_type: Such as `image/png`; required with `data`.
        title: Name for people.
    """

    type: Literal["image", "document"]
    url: str | None = None
    data: str | None = Field(default=None, repr=False)
    file_id: str | None = None
    media_type: str | None = None
    title: str | None = None


class ThinkingBlock(Record):
    """Reasoning of the model."""

    type: Literal["thinking"] = "thinking"
    text: str


class ToolCallBlock(Record):
    """A tool call: its id, the tool's name, and the arguments as JSON values."""

    type: Literal["tool_call"] = "tool_call"
    id: str
    name: str
    arguments: dict[str, Any] = Field(default_factory=dict)


class ToolResultBlock(Record):
    """What a tool answered; `is_error` if it failed, was denied or was interrupted."""

    type: Literal["tool_result"] = "tool_result"
    tool_call_id: str
    text: str = ""
    is_error: bool = False


class RawBlock(Record):
    """A block that is not modelled, as received."""

    type: Literal["native"] = "native"
    raw: RawObject


Block: TypeAlias = Annotated[
    TextBlock | MediaBlock | ThinkingBlock | ToolCallBlock | ToolResultBlock | RawBlock, Field(discriminator="type")
]


class Role(StrEnum):
    """Who said it."""

    USER = "user"
    ASSISTANT = "assistant"
    SYSTEM = "system"
    UNKNOWN = "unknown"


class Message(Record):
    """One message of a session.

    Attributes:
        provider: Name of the provider that read it.
        id: Opaque id.
        session_id: The session.
        role: Who said it.
        content: What was said.
        usage: What it consumed; None if the backend does not say.
        created_at: UTC.
        raw: The wire object as received.
    """

    provider: str
    id: str
    session_id: str
    role: Role
    content: tuple[Block, ...] = ()
    usage: Usage | None = None
    created_at: UtcDatetime | None = None
    raw: RawObject = Field(default_factory=dict, repr=False)

    @property
    def text(self) -> str:
        """The text blocks, joined."""
        return "".join(block.text for block in self.content if isinstance(block, TextBlock))
