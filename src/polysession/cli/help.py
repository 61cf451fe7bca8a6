"""Layout of help texts: each fits a terminal of 24 lines and 80 columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from typer.core import TyperCommand, TyperGroup

from polysession.cli.options import COMMON

_SECTIONS: Final[Mapping[str, Sequence[str]]] = {
    "Talk to an agent": ("ask", "chat"),
    "Work in a session": ("run", "send", "answer", "pending", "events", "messages"),
    "Manage": ("sessions", "agents", "environments", "models"),
    "Configure and inspect": ("profiles", "doctor", "providers", "features", "switch-check"),
    "Try without an account": ("demo", "emulate"),
    "Write a provider": ("new-provider",),
}
_OTHERS: Final = "Other"
_COMPLETION: Final = ("--install-completion", "Install shell completion.")


class ShortHelp(TyperCommand):
    """A command whose help lists its arguments and its own options; `polysession --help` has the common ones.

    An option without a help text is left out: the text of a neighbouring option covers it.
    """

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the arguments and the options."""
        parameters: list[Any] = [each for each in self.get_params(ctx) if each.name != "help"]
        if own := [each for each in parameters if each.help and each.rich_help_panel != COMMON]:
            with formatter.section("Options"):
                formatter.write_dl([_record(each, ctx) for each in own])
        formatter.write_paragraph()
        formatter.write_text("Common options, such as --profile and --json: polysession --help")


def _record(parameter: Any, ctx: Any) -> tuple[str, str]:
    """Return the name of a parameter and its help text."""
    if parameter.param_type_name == "argument":
        return parameter.metavar, parameter.help
    name, text = parameter.get_help_record(ctx)
    return name, text


class MainHelp(TyperGroup):
    """The main command. Its help lists the commands by topic; each command has its own help."""

    def format_help_text(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002  (typer's signature)
        """Write the description without empty lines."""
        formatter.write_paragraph()
        with formatter.indentation():
            formatter.write_text(" ".join((self.help or "").split()))

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the options, and the names of the commands by topic."""
        own = [each for each in self.get_params(ctx) if not each.name.endswith(("_completion", "help"))]
        with formatter.section("Options"):
            formatter.write_dl([each.get_help_record(ctx) for each in own] + [_COMPLETION])
        listed = {name for names in _SECTIONS.values() for name in names}
        others = tuple(name for name in self.list_commands(ctx) if name not in listed)
        sections = {**_SECTIONS, **({_OTHERS: others} if others else {})}
        with formatter.section("Commands"):
            formatter.write_dl([(title, ", ".join(names)) for title, names in sections.items()])
