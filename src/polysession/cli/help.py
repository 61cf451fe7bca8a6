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
_COMPLETION: Final = ("--install-completion", "Install shell completion and exit.")


class ShortHelp(TyperCommand):
    """A command whose help lists its arguments and its own options; `polysession --help` has the common ones.

    An option without a help text is left out: the text of a neighbouring option covers it.
    """

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Return the parts of the usage line, with required arguments in plain capitals."""
        return [piece.strip("{}") for piece in super().collect_usage_pieces(ctx)]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the arguments and the options."""
        parameters: list[Any] = [each for each in self.get_params(ctx) if each.name != "help"]
        own = [each for each in parameters if each.help and each.rich_help_panel != COMMON]
        arguments = [(each.metavar, each.help) for each in own if each.param_type_name == "argument"]
        options = [each.get_help_record(ctx) for each in own if each.param_type_name != "argument"]
        for title, rows in (("Arguments", arguments), ("Options", options)):
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)
        formatter.write_paragraph()
        formatter.write_text("Common options, such as --profile and --json: polysession --help")


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
