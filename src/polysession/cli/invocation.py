"""One run of a command: the common options, and the client that they choose."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from polysession.cli.parsing import pairs
from polysession.cli.printing import Output
from polysession.errors import UsageError
from polysession.plugins import choose_provider, load_provider
from polysession.profiles import Profile
from polysession.settings import secret_names, variables_of

if TYPE_CHECKING:
    from polysession import Client
    from polysession.cli.findings import DoctorTarget
    from polysession.emulation import EmulatorHandle


@dataclass(frozen=True, kw_only=True)
class Invocation:
    """One run of a command with its common options, given before the command or after it.

    Attributes:
        provider: `--provider`.
        profile: `--profile`.
        set_: Each `--set`.
        emulated: `--emulated`.
        json: `--json`.
        fields: `--fields`; it implies `--json`.
        debug: `--debug`.
        output: Receives the results.
    """

    provider: str | None = None
    profile: str | None = None
    set_: Sequence[str] = ()
    emulated: bool = False
    json: bool = False
    fields: str | None = None
    debug: bool = False
    output: Output = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "json", self.json or self.fields is not None)
        object.__setattr__(self, "output", Output(as_json=self.json, fields=self.fields))

    def chosen_provider(self) -> str:
        """Return the provider's name.

        Raises:
            UsageError: No provider is named, or the profile does not exist.
        """
        return self.provider or choose_provider(None, os.environ, self.profile)[0]

    def chosen_profile(self) -> Profile | None:
        """Return the profile in use; None without a profile, or with an emulator.

        Raises:
            UsageError: The profile does not exist, or no provider is named.
        """
        return None if self.emulated else choose_provider(self.provider, os.environ, self.profile)[1]

    def check_no_client(self) -> None:
        """Raise if an option that chooses a client comes before a command that uses no client.

        Raises:
            UsageError: There is such an option.
        """
        if self.provider or self.profile or self.set_ or self.emulated:
            raise UsageError("this command does not accept --provider, --profile, --set or --emulated")

    def for_provider(self, name: str | None) -> Invocation:
        """Return a copy for a provider that the command itself names; None if it names none.

        Raises:
            UsageError: `--provider` names another provider.
        """
        if name is None:
            return self
        if self.provider not in {None, name}:
            raise UsageError(f"two providers are given, {name!r} and --provider {self.provider!r}; give only one")
        return replace(self, provider=name)

    def settings(self) -> dict[str, str]:
        """Return the settings of `--set`.

        Raises:
            UsageError: A setting is secret: other users can see command lines, and shells store them in the history.
        """
        settings = pairs(self.set_, "--set")
        if settings:
            settings_type = load_provider(self.chosen_provider()).settings_type
            for key in sorted(secret_names(settings_type) & set(settings)):
                variable = next(iter(variables_of(settings_type).get(key, ())), None)
                where = f"set {variable}, or store it in a profile" if variable else "store it in a profile"
                raise UsageError(f"{key!r} is a secret, and other users can see a command line; {where}")
        return settings

    def again(self, *words: str) -> str:
        """Return a command with the same provider, profile and settings, to paste into a shell."""
        options = [
            *(("--provider", self.provider) if self.provider else ()),
            *(("--profile", self.profile) if self.profile else ()),
            *(word for setting in self.set_ for word in ("--set", setting)),
        ]
        return shlex.join(["polysession", *words, *options])

    @contextmanager
    def connect(self) -> Iterator[tuple[Client, EmulatorHandle | None]]:
        """Open a client and the emulator that it uses; None instead of the emulator if it uses a service.

        Raises:
            PolysessionError: The client cannot be built.
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
    def doctor_target(self) -> Iterator[DoctorTarget]:
        """Open the target of `doctor`. No connection is opened, unless the target is an emulator."""
        from polysession.cli.findings import DoctorTarget  # noqa: PLC0415  (help and completion need no HTTP library)

        if not self.emulated:
            yield DoctorTarget(self.provider, self.profile, self.settings() if self.set_ else {}, os.environ)
            return
        self._check_emulated()
        from polysession.emulation import serve  # noqa: PLC0415  (emulators are an extra)

        with serve(self.chosen_provider()) as emulator:
            yield DoctorTarget(emulator.provider, "", emulator.settings, os.environ, direct=True)

    def _check_emulated(self) -> None:
        if self.set_ or self.profile:
            raise UsageError("--emulated cannot be combined with --set or --profile")

    @contextmanager
    def client(self) -> Iterator[Client]:
        """Open a client. Errors are those of `connect`."""
        with self.connect() as (client, _):
            yield client
