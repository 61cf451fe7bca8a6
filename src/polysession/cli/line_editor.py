"""Input of `chat`: with line editing and history at a terminal, and plain lines elsewhere."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from rich.console import Console

from polysession.cli.state import state_folder

if TYPE_CHECKING:
    from prompt_toolkit.history import History
    from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent


def reader(console: Console, *, remembered: str) -> Callable[[str], str]:
    """Return a function that shows a prompt and reads a text. It raises `EOFError` and `KeyboardInterrupt`.

    Args:
        console: The terminal.
        remembered: The prompt with texts that are stored in the history. Other texts, such as outputs of tools, are not
            stored.
    """
    if not (sys.stdin and sys.stdin.isatty() and console.is_terminal):
        return partial(_plain_line, console)
    from prompt_toolkit import PromptSession  # noqa: PLC0415  (only a terminal needs it)

    messages: PromptSession[str] = PromptSession(history=_history(), key_bindings=_keys(), multiline=True)
    answers: PromptSession[str] = PromptSession(key_bindings=_keys(), multiline=True)

    def read(prompt: str) -> str:
        session = messages if prompt == remembered else answers
        return session.prompt(prompt, prompt_continuation=" " * len(prompt))

    return read


def _plain_line(console: Console, prompt: str) -> str:
    try:
        return console.input(prompt, markup=False, emoji=False)
    except (EOFError, KeyboardInterrupt):
        console.print()  # ends the line of the prompt
        raise


def _history() -> History:
    """Return the history of earlier chats, or only of this chat if no file can be written."""
    from prompt_toolkit.history import FileHistory, InMemoryHistory  # noqa: PLC0415  (likewise)

    try:
        path = state_folder(os.environ) / "chat_history"
        path.touch(mode=0o600)
    except OSError:
        return InMemoryHistory()
    return FileHistory(path)


def _keys() -> KeyBindings:
    """Bind the keys: Enter sends, Alt-Enter starts a new line, Ctrl-C clears the line, or leaves if it is empty."""
    from prompt_toolkit.key_binding import KeyBindings  # noqa: PLC0415  (likewise)

    keys = KeyBindings()

    @keys.add("enter")
    def _(event: KeyPressEvent) -> None:
        event.current_buffer.validate_and_handle()

    @keys.add("escape", "enter")
    def _(event: KeyPressEvent) -> None:
        event.current_buffer.insert_text("\n")

    @keys.add("c-c")
    def _(event: KeyPressEvent) -> None:
        if event.current_buffer.text:
            event.current_buffer.reset()
        else:
            event.app.exit(exception=KeyboardInterrupt)

    return keys
