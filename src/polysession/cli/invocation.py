"""What every command shares: its common options, its client, and how it ends."""

from __future__ import annotations

import functools
import inspect
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Annotated, Any, Concatenate, Final, ParamSpec

import typer

from polysession.cli.errors import ExitCode, discard_output, report
from polysession.cli.parsing import pairs
from polysession.cli.printing import Output
from polysession.errors import PolysessionError, UsageError
from polysession.plugins import choose_provider, installed_providers, load_provider
from polysession.profiles import PlainSecretWarning, read_profiles
from polysession.settings import ClearTextWarning, secret_names, variables_of

if TYPE_CHECKING:
    from polysession import Client
    from polysession.cli.diagnosis import DoctorTarget
    from polysession.emulation import EmulatorHandle

P = ParamSpec("P")


def complete_provider(incomplete: str) -> list[str]:
    """Names of installed providers, for the shell."""
    return [name for name in installed_providers() if name.startswith(incomplete)]


def complete_profile(incomplete: str) -> list[str]:
    """Names of profiles, for the shell; none if the file cannot be read."""
    try:
        return [name for name in read_profiles(os.environ) if name.startswith(incomplete)]
    except UsageError:
        return []


ProviderOption = Annotated[
    str | None,
    typer.Option(
        help="Provider to use; else the profile's, else POLYSESSION_PROVIDER.",
        metavar="NAME",
        autocompletion=complete_provider,
    ),
]
ProfileOption = Annotated[
    str | None,
    typer.Option(
        help="Profile of the configuration file; else POLYSESSION_PROFILE.",
        metavar="NAME",
        autocompletion=complete_profile,
    ),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", help="A setting of the provider; may be repeated. No secrets.", metavar="KEY=VALUE"),
]
EmulatedOption = Annotated[
    bool, typer.Option("--emulated", help="Start the provider's emulator for this command, and talk to that.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Write JSON.")]
DebugOption = Annotated[bool, typer.Option("--debug", help="Show a traceback with an error.")]

_CLIENT_OPTIONS: Final[Mapping[str, tuple[Any, Any]]] = {
    "provider": (ProviderOption, None),
    "profile": (ProfileOption, None),
    "set_": (SetOption, None),
    "emulated": (EmulatedOption, False),
}
_OUTPUT_OPTIONS: Final[Mapping[str, tuple[Any, Any]]] = {"json": (JsonOption, False), "debug": (DebugOption, False)}


@dataclass(frozen=True, kw_only=True)
class Invocation:
    """One run of a command: what the common options say, given before the command or after it.

    Attributes:
        provider: `--provider`.
        profile: `--profile`.
        set_: Each `--set`.
        emulated: `--emulated`.
        json: `--json`.
        debug: `--debug`.
    """

    provider: str | None = None
    profile: str | None = None
    set_: Sequence[str] = ()
    emulated: bool = False
    json: bool = False
    debug: bool = False
    output: Output = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "output", Output(as_json=self.json))

    def chosen_provider(self) -> str:
        """Name of the provider that is meant.

        Raises:
            UsageError: None is, or the profile is not there.
        """
        return self.provider or choose_provider(None, os.environ, self.profile)[0]

    def check_no_client(self) -> None:
        """Raise if an option stands before a command that has no use for it.

        Raises:
            BadParameter: One does.
        """
        if self.provider or self.profile or self.set_ or self.emulated:
            raise typer.BadParameter("this command takes no --provider, --profile, --set or --emulated before it")

    def for_provider(self, name: str | None) -> Invocation:
        """The same for a provider that the command itself names; None names none.

        Raises:
            UsageError: `--provider` names another one.
        """
        if name is None:
            return self
        if self.provider not in {None, name}:
            raise UsageError(f"{name!r} is named, and --provider {self.provider!r} too; give one of the two")
        return replace(self, provider=name)

    def settings(self) -> dict[str, str]:
        """What `--set` says.

        Raises:
            UsageError: A setting is secret: others on the machine see a command line, and the shell remembers it.
        """
        settings = pairs(self.set_, "--set")
        if settings:
            name = self.chosen_provider()
            settings_type = load_provider(name).settings_type
            for key in sorted(secret_names(settings_type) & set(settings)):
                variable = next(iter(variables_of(settings_type).get(key, ())), None)
                where = f"the environment variable {variable}, or in a profile" if variable else "a profile"
                raise UsageError(f"{key!r} is secret and does not belong on a command line; put it in {where}")
        return settings

    @contextmanager
    def connect(self) -> Iterator[tuple[Client, EmulatorHandle | None]]:
        """A client, and the emulator that it talks to; None if it talks to a service.

        Raises:
            PolysessionError: There is no client to be had.
        """
        from polysession import Client  # noqa: PLC0415  (help and completion need no HTTP library)

        if not self.emulated:
            settings: dict[str, Any] = self.settings()
            with Client(self.provider, profile=self.profile, **settings) as client:
                yield client, None
            return
        self._check_emulated()
        from polysession.cli.demo import local_client  # noqa: PLC0415  (emulators are an extra)
        from polysession.emulation import serve  # noqa: PLC0415

        with serve(self.chosen_provider()) as emulator, local_client(emulator) as client:
            yield client, emulator

    @contextmanager
    def patient(self) -> Iterator[DoctorTarget]:
        """What `doctor` is to examine. Nothing is opened for it, unless it is the emulator."""
        from polysession.cli.diagnosis import DoctorTarget  # noqa: PLC0415  (help and completion need no HTTP library)

        if not self.emulated:
            yield DoctorTarget(self.provider, self.profile, self.settings() if self.set_ else {}, os.environ)
            return
        self._check_emulated()
        from polysession.emulation import serve  # noqa: PLC0415  (emulators are an extra)

        with serve(self.chosen_provider()) as emulator:
            yield DoctorTarget(emulator.provider, "", emulator.settings, os.environ, direct=True)

    def _check_emulated(self) -> None:
        if self.set_ or self.profile:
            raise UsageError("--emulated brings its own settings; leave --set and --profile out")

    @contextmanager
    def client(self) -> Iterator[Client]:
        """A client. Errors are those of `connect`."""
        with self.connect() as (client, _):
            yield client


def command(
    group: typer.Typer, name: str | None = None, *, has_client: bool = True
) -> Callable[[Callable[Concatenate[Invocation, P], None]], Callable[Concatenate[Invocation, P], None]]:
    """Make a function a command with the common options; they reach it as its first argument, an `Invocation`.

    Args:
        group: What the command belongs to.
        name: Its name; None takes the function's.
        has_client: Whether it has the options that choose a client.
    """
    common = {**(_CLIENT_OPTIONS if has_client else {}), **_OUTPUT_OPTIONS}

    def register(function: Callable[Concatenate[Invocation, P], None]) -> Callable[Concatenate[Invocation, P], None]:
        @functools.wraps(function)
        def run(context: typer.Context, **values: Any) -> None:
            before = dict(context.obj or {})
            if "provider" in values and values["provider"] is None and not has_client:
                values["provider"] = before.pop("provider", None)
            invocation = _joined(before, {option: values.pop(option) for option in common})
            if not has_client:
                invocation.check_no_client()
            _run(invocation, lambda: function(invocation, **values))  # type: ignore[call-arg]  # typer gives what it takes

        run.__signature__ = _signature(function, common)  # type: ignore[attr-defined]
        group.command(name)(run)
        return function

    return register


def _signature(function: Callable[..., None], common: Mapping[str, tuple[Any, Any]]) -> inspect.Signature:
    """What typer is to see: the function's own options, then the common ones."""
    context = inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)
    own = list(inspect.signature(function, eval_str=True).parameters.values())[1:]
    shared = [
        inspect.Parameter(option, inspect.Parameter.KEYWORD_ONLY, annotation=annotation, default=default)
        for option, (annotation, default) in common.items()
    ]
    named = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in own]
    return inspect.Signature([context, *named, *shared])


def _joined(before: Mapping[str, Any] | None, after: Mapping[str, Any]) -> Invocation:
    """The options that stand before the command and those after it; of two values the later one counts."""
    values = dict(before or {})
    for option, value in after.items():
        if option == "set_":
            values[option] = [*(values.get(option) or []), *(value or [])]
        elif value:
            values[option] = value
    return Invocation(**{option: value for option, value in values.items() if value})


def _run(invocation: Invocation, body: Callable[[], None]) -> None:
    """Run a command to its exit status."""
    with _shown_warnings(invocation.output):
        try:
            body()
            sys.stdout.flush()
        except KeyboardInterrupt:
            raise typer.Exit(ExitCode.INTERRUPTED) from None
        except BrokenPipeError:
            discard_output()
            raise typer.Exit(ExitCode.BROKEN_PIPE) from None
        except PolysessionError as error:
            raise typer.Exit(report(error, as_json=invocation.json, debug=invocation.debug)) from None
        except OSError as error:
            discard_output()
            raise typer.Exit(report(error, as_json=invocation.json, debug=invocation.debug)) from None
        except ModuleNotFoundError as error:
            missing = UsageError(f"this command needs {error.name!r}. Install it with: pip install 'polysession[all]'")
            raise typer.Exit(report(missing, as_json=invocation.json, debug=invocation.debug)) from None
        except (typer.Exit, typer.Abort, typer.BadParameter):
            raise
        except Exception as error:  # noqa: BLE001  (a defect is told in a paragraph as well)
            raise typer.Exit(report(error, as_json=invocation.json, debug=invocation.debug)) from None


@contextmanager
def _shown_warnings(output: Output) -> Iterator[None]:
    """Show our warnings in a line, each time."""
    with warnings.catch_warnings():
        for kind in (PlainSecretWarning, ClearTextWarning):
            warnings.simplefilter("always", kind)
        warnings.showwarning = lambda message, *_, **__: output.note(f"polysession: warning: {message}", "yellow")
        yield
