"""Help, completion, and the page about the command."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from polysession.cli.app import app
from support.command import Shell

SCREEN = (24, 80)
DOCS = Path(__file__).parents[2] / "docs"


def commands(group: Any, *words: str) -> list[tuple[str, ...]]:
    """Return every command and group by its words."""
    inner = getattr(group, "commands", {})
    return [words, *(found for name, each in inner.items() for found in commands(each, *words, name))]


ALL = commands(get_command(app))


@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_every_help_fits_a_screen(words: tuple[str, ...]) -> None:
    lines = Shell().done(*words, "--help").out.splitlines()

    assert len(lines) < SCREEN[0], "the first line scrolls away"
    assert max(map(len, lines)) <= SCREEN[1]


def test_every_command_has_an_example_and_points_to_the_common_options() -> None:
    for words in ALL:
        if not words or any(other[: len(words)] == words and other != words for other in ALL):
            continue
        text = " ".join(Shell().done(*words, "--help").out.split())
        assert re.search(rf"Example: (\S+ \S+ \| )?polysession {' '.join(words)}\b", text), words
        assert "Common options, such as --profile and --json: polysession --help" in text


def test_arguments_are_listed_apart_from_options() -> None:
    shown = Shell().done("run", "--help").out

    assert shown.startswith("Usage: polysession run [OPTIONS] SESSION TEXT\n")
    assert re.search(r"\nArguments:\n  SESSION .*\n  TEXT .*\n\nOptions:\n  --deadline SECONDS ", shown)


def test_the_main_help_names_every_command_once() -> None:
    listed = re.findall(r"[\w-]+", Shell().done("--help").out.partition("Commands:")[2])

    assert all(listed.count(words[0]) == 1 for words in ALL if len(words) == 1)


def test_without_a_command_the_help_is_shown() -> None:
    assert "Commands:" in Shell().run().err
    shown = Shell().run("sessions")
    assert (shown.code, "Archive a session" in shown.err) == (2, True)


def test_options_without_a_help_text_of_their_own_are_described_by_a_neighbour() -> None:
    shown = Shell().done("sessions", "update", "--help").out

    named = set(re.findall(r"--[a-z-]+", shown))
    assert {f"--clear-{field}" for field in ("title", "metadata", "tags", "model", "permission-mode")} < named
    assert {"--remove-metadata", "--add-tag", "--remove-tag"} < named


@pytest.mark.parametrize("kind", ["bash", "zsh", "fish"])
def test_completion_can_be_shown_for_installation(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION", "1")

    shown = CliRunner().invoke(app, ["--show-completion", kind])  # reads the variable when it builds the command

    assert "_POLYSESSION_COMPLETE" in shown.output


def completed(line: str, **env: str) -> list[str]:
    """Return what the shell offers at the end of a line."""
    words = {"_POLYSESSION_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(len(line.split(" ")) - 1)}
    return Shell(env | words).run().out.split()


def test_names_are_completed(tmp_path: Path) -> None:
    (tmp_path / "polysession").mkdir()
    config = tmp_path / "polysession/config.toml"
    config.write_text('[profiles.staging]\nprovider = "qoder"\n')

    assert {"adk", "qoder"} <= set(completed("polysession sessions list --provider "))
    assert completed("polysession switch-check --from ag") == ["agentscope"]
    assert completed("polysession emulate q") == ["qoder"]
    assert completed("polysession --profile s", XDG_CONFIG_HOME=str(tmp_path)) == ["staging"]
    assert completed("polysession profiles use s", XDG_CONFIG_HOME=str(tmp_path)) == ["staging"]
    assert "archive" in completed("polysession sessions a")
    assert "--clear-title" in completed("polysession sessions update --clear-t")
    config.write_text("[")
    assert completed("polysession --profile s", XDG_CONFIG_HOME=str(tmp_path)) == []
