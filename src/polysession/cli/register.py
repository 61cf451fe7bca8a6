"""Registers commands with their common options, and runs them to get their exit status."""

from __future__ import annotations

import functools
import inspect
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any, Concatenate, ParamSpec

import typer

from polysession.cli.errors import ExitCode, discard_output, report
from polysession.cli.help import ShortHelp
from polysession.cli.invocation import Invocation
from polysession.cli.options import CLIENT_OPTIONS, OUTPUT_OPTIONS
from polysession.cli.printing import Output
from polysession.errors import PolysessionError, UsageError
from polysession.profiles import PlainSecretWarning
from polysession.settings import ClearTextWarning

P = ParamSpec("P")
Body = Callable[Concatenate[Invocation, P], None]


def command(
    group: typer.Typer, name: str | None = None, *, writes: str | tuple[str, ...], has_client: bool = True
) -> Callable[[Body[P]], Body[P]]:
    """Turn a function into a command with the common options; its first argument is the `Invocation`.

    Args:
        group: The group that the command belongs to.
        name: Name of the command; None for the function's name.
        writes: Keys of the JSON objects that the command writes, or the kind of record: see `json_keys`.
        has_client: Whether the command has the options that choose a client.
    """
    common = {**(CLIENT_OPTIONS if has_client else {}), **OUTPUT_OPTIONS}

    def register(function: Body[P]) -> Body[P]:
        @functools.wraps(function)
        def run(context: typer.Context, **values: Any) -> None:
            before = dict(context.obj or {})
            if "provider" in values and values["provider"] is None and not has_client:
                values["provider"] = before.pop("provider", None)
            invocation = _joined(before, {option: values.pop(option) for option in common})

            def body() -> None:
                if not has_client:
                    invocation.check_no_client()
                invocation.output.check_fields(partial(keys_of, writes))
                function(invocation, **values)  # type: ignore[call-arg]  # typer gives what it takes

            _run(invocation, body)

        signature = _signature(function, common)
        run.__signature__ = signature  # type: ignore[attr-defined]
        # As types, because typer would compile annotations in text form several times.
        run.__annotations__ = {name: each.annotation for name, each in signature.parameters.items()}
        run.writes = writes  # type: ignore[attr-defined]  # for the docs
        group.command(name, cls=ShortHelp)(run)
        return function

    return register


def keys_of(writes: str | tuple[str, ...]) -> tuple[str, ...]:
    """Return the keys of the JSON objects that a command writes; `writes` is as for `command`."""
    from polysession.cli.json_keys import KEYS  # noqa: PLC0415  (most commands are not asked for fields)

    return KEYS[writes] if isinstance(writes, str) else writes


def _signature(function: Callable[..., None], common: Mapping[str, tuple[Any, Any]]) -> inspect.Signature:
    """Return the signature for typer: the function's own options, then the common ones."""
    context = inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)
    own = list(inspect.signature(function, eval_str=True).parameters.values())[1:]
    shared = [
        inspect.Parameter(option, inspect.Parameter.KEYWORD_ONLY, annotation=annotation, default=default)
        for option, (annotation, default) in common.items()
    ]
    named = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in own]
    return inspect.Signature([context, *named, *shared])


def _joined(before: Mapping[str, Any], after: Mapping[str, Any]) -> Invocation:
    """Combine the options before and after the command; if both set a value, the later one counts."""
    values = dict(before)
    for option, value in after.items():
        if option == "set_":
            values[option] = [*(values.get(option) or []), *(value or [])]
        elif value:
            values[option] = value
    return Invocation(**{option: value for option, value in values.items() if value})


def _run(invocation: Invocation, body: Callable[[], None]) -> None:
    """Run a command and return its exit status."""
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
        except (typer.Exit, typer.Abort):
            raise
        except Exception as error:  # noqa: BLE001  (a defect is reported in a paragraph as well)
            raise typer.Exit(report(error, as_json=invocation.json, debug=invocation.debug)) from None


@contextmanager
def _shown_warnings(output: Output) -> Iterator[None]:
    """Show each of our warnings on one line, every time."""
    with warnings.catch_warnings():
        for kind in (PlainSecretWarning, ClearTextWarning):
            warnings.simplefilter("always", kind)
        warnings.showwarning = lambda message, *_, **__: output.note(f"polysession: warning: {message}", "yellow")
        yield
