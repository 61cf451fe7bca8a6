"""Checks a caller's input for an agent before anything is sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, cast

from polysession._core.answers import ANSWERS, check_answer_kind
from polysession._core.provider import Provider
from polysession.action import Answer, Approve, Deny, Reply, ToolOutput
from polysession.errors import UsageError
from polysession.feature import Feature
from polysession.message import Block, MediaBlock, TextBlock

if TYPE_CHECKING:
    from polysession._core.operations import Content
    from polysession._core.provider import TurnInput

_MEDIA: Final[Mapping[str, Feature]] = {
    "image": Feature.SESSIONS_SEND_IMAGE,
    "document": Feature.SESSIONS_SEND_DOCUMENT,
}

_FEATURES: Final[Mapping[type[Answer], Feature]] = {
    Approve: Feature.SESSIONS_ANSWER_APPROVAL,
    Deny: Feature.SESSIONS_ANSWER_APPROVAL,
    ToolOutput: Feature.SESSIONS_ANSWER_OUTPUT,
    Reply: Feature.SESSIONS_ANSWER_QUESTION,
}
"""The feature that each type of answer needs."""


def checked_turn_input(provider: Provider[Any], turn_input: Content | Sequence[Answer]) -> TurnInput:
    """Return the blocks of a message that starts a turn, or the answers that continue it.

    Raises:
        UsageError: The input is neither, or a mixture, or the provider does not support it.
    """
    if holds_answers(turn_input):
        return checked_answers(provider, cast("Sequence[Answer]", turn_input))
    return checked_blocks(provider, cast("Content", turn_input))


def holds_answers(turn_input: object) -> bool:
    """Return whether any part is an answer."""
    return isinstance(turn_input, Sequence) and any(isinstance(part, ANSWERS) for part in turn_input)


def checked_blocks(provider: Provider[Any], content: Content) -> tuple[Block, ...]:
    """The blocks of a message.

    Raises:
        UsageError: The message is empty or is not a message, or the provider does not support one of its blocks.
    """
    if not isinstance(content, Sequence):
        raise UsageError(f"a message must be text or a list of blocks, not a {type(content).__name__}")
    if not content:
        raise UsageError("the message is empty")
    blocks: tuple[Block, ...] = (TextBlock(text=content),) if isinstance(content, str) else tuple(content)
    for block in blocks:
        if not isinstance(block, TextBlock | MediaBlock):
            raise UsageError(f"the blocks of a message must be TextBlock or MediaBlock, not {type(block).__name__}")
        if isinstance(block, MediaBlock):
            provider.require(_MEDIA[block.type])
            _check_media(block)
    return blocks


def checked_answers(provider: Provider[Any], answers: Sequence[Answer]) -> tuple[Answer, ...]:
    """Return the answers to pending actions.

    Raises:
        UsageError: There is no answer, an item is not an answer or comes twice, or the provider does not support its
            type.
    """
    if not isinstance(answers, Sequence):
        raise UsageError(f"answers must be a list, not a {type(answers).__name__}")
    if not answers:
        raise UsageError("the list of answers is empty")
    for answer in answers:
        _check_answer(provider, answer)
    if len({answer.action_id for answer in answers}) < len(answers):
        raise UsageError("an action has two answers; pass one answer for each action")
    return tuple(answers)


def _check_answer(provider: Provider[Any], answer: object) -> None:
    if not isinstance(answer, Approve | Deny | ToolOutput | Reply):
        names = "an Approve, a Deny, a ToolOutput or a Reply"
        raise UsageError(f"an answer must be {names}, not a {type(answer).__name__}")
    provider.require(_FEATURES[type(answer)])
    if isinstance(answer, Approve) and answer.arguments is not None:
        provider.require(Feature.SESSIONS_ANSWER_ARGUMENTS)
    if not isinstance(answer.action, str):
        check_answer_kind(answer, answer.action)


def _check_media(block: MediaBlock) -> None:
    if sum(source is not None for source in (block.url, block.data, block.file_id)) != 1:
        raise UsageError(f"the {block.type} needs exactly one of url, data and file_id")
    if block.data is not None and block.media_type is None:
        raise UsageError(f"the {block.type} has data, and needs a media_type")
