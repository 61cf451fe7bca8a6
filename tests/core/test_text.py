from __future__ import annotations

import time

import pytest

from polysession._core.text import escaped, plain_text


@pytest.mark.parametrize(
    ("text", "shown"), [("a\nb", r"a\nb"), ("\x1b[31m", r"\x1b[31m"), ("ü会", "ü会"), ("\u202e", r"\u202e")]
)
def test_control_characters_are_escaped(text: str, shown: str) -> None:
    assert escaped(text) == shown


def test_some_control_characters_may_stay() -> None:
    assert escaped("a\n\tb\r", keep="\n\t") == "a\n\tb\\r"


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"plain", "plain"),
        (b"\xff", "\N{REPLACEMENT CHARACTER}"),
        (b"<!doctype html><HTML lang=en><Title id=t> Sign in </Title>", 'an HTML page titled "Sign in"'),
        (b"<html></html>", "an HTML page"),
        (b"<html><title></title>", "an HTML page"),
        (b"<html><title>never closed", "an HTML page"),
        (b"<html><title>" + b"x" * 81 + b"</title>", "an HTML page"),
        (b" " * 100_000 + b"<html><title>late</title>", 'an HTML page titled "late"'),
    ],
)
def test_a_page_is_described_by_its_title(content: bytes, text: str) -> None:
    assert plain_text(content) == text


@pytest.mark.parametrize(
    "content",
    [
        b"<html" + b"<title" * 40_000,
        b"<html" + b"<title>" * 40_000,
        b"<html><title>" + b" " * 240_000,
        b"<html>" + b"<title> " * 30_000,
        b"<html" * 40_000,
    ],
)
def test_the_time_does_not_grow_with_the_square_of_the_body(content: bytes) -> None:
    start = time.process_time()
    assert plain_text(content) == "an HTML page"
    assert time.process_time() - start < 1  # seconds of CPU; it was 5.6 for the first
