"""Tapes: whole programs of calls and live streams, recorded once from a real backend and replayed offline."""

from __future__ import annotations

import contextlib
import datetime as dt
import threading
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Literal, Self, TypeVar, get_args

from polysession._core.effect_source import EffectSource, replaced_by
from polysession._core.exchange import spellings
from polysession._drivers.default_client import new_async_http_client, new_http_client
from polysession.async_client import AsyncClient
from polysession.client import Client
from polysession.testing.tape_file import (
    Entry,
    Exchange,
    RandomId,
    TapedRequest,
    TapeError,
    TapeFile,
    TapeHeader,
    packed,
    read_tape,
)
from polysession.testing.tape_http import AsyncTapedClient, TapedClient
from polysession.testing.tape_playback import Playback
from polysession.testing.tape_secrets import (
    REDACTED,
    REQUEST_HEADERS,
    RESPONSE_HEADERS,
    credentials_in,
    kept_headers,
    leaks,
    replaced,
    without_tokens,
)
from polysession.testing.tape_settings import recorded_client, recorded_provider, replayed_options

T = TypeVar("T")
RecordMode = Literal["none", "once", "new_episodes", "rewrite", "all"]

_NO_FILE: Final = TapeFile(TapeHeader(), ())


class TapeMismatch(AssertionError):  # noqa: N818  (it says what happened)
    """A program's requests differ from those on its tape."""


class Tape(EffectSource):
    """A recording of a program, to create or to replay. Use it in a `with` block, also in async programs.

    A replayed request gets the response of the recorded request with the same method, path, query and body, in any
    order. If the same request is sent twice, it gets the recorded responses in their order. Streams are replayed chunk
    by chunk, but not before the writes that preceded them. Random ids are replayed from the recording, and waits of the
    client are scaled like the delays of the backend.

    Args:
        path: The file, with the suffix `.jsonl`.
        mode: As for the option `--record-mode` of pytest-recording. `none` only replays; `once` records if there is no
            file; `new_episodes` replays recorded requests and records new ones; `rewrite` and `all` record everything
            again.
        pace: Delays of the replay, relative to the recording: 0 does not wait, 1 waits as long as recorded.
        keep_headers: Names of further headers to store, in lower case. For credentials, only the scheme is stored.
        match_headers: Names of stored request headers that must be the same as recorded.
        secrets: Texts that must not be on the tape, besides the credentials that clients send.
        replace: Texts to replace everywhere on the tape, each with its replacement, such as the name of a customer.
        partial: Whether requests of the tape may be left over at the end.
        provenance: Facts to store about the recording, besides its date.

    Attributes:
        path: The file.
        mode: The mode.
        records: Whether requests are recorded; known once the tape is open.
        file: Content to replay; empty for a new recording.

    Raises:
        TapeError: When it is opened: the file does not exist, or is not a tape. When a recording ends: it contains a
            secret, and nothing is written.
        TapeMismatch: A request is not on the tape; or, at the end of a block without an error, a recorded request was
            not sent.
    """

    def __init__(
        self,
        path: Path | str,
        *,
        mode: RecordMode = "none",
        pace: float = 0.0,
        keep_headers: Collection[str] = (),
        match_headers: Collection[str] = (),
        secrets: Collection[str] = (),
        replace: Mapping[str, str] | None = None,
        partial: bool = False,
        provenance: Mapping[str, Any] | None = None,
    ) -> None:
        if mode not in get_args(RecordMode):
            raise TapeError(f"the mode of a tape must be one of {', '.join(get_args(RecordMode))}, not {mode!r}")
        self.path: Path = Path(path)
        self.mode: RecordMode = mode
        self.records: bool = False
        self.file: TapeFile = _NO_FILE
        self._pace = pace
        self._keep = (REQUEST_HEADERS | {*keep_headers, *match_headers}, RESPONSE_HEADERS | {*keep_headers})
        self._match_headers = match_headers
        self._secrets = {secret for secret in secrets if secret}
        self._replace = dict(replace or {})
        self._partial = partial
        self._provenance = {"date": dt.datetime.now(dt.UTC).date().isoformat(), **(provenance or {})}
        self._lock = threading.Lock()
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        replays = self.mode in {"none", "new_episodes"} or (self.mode == "once" and self.path.exists())
        self.records = self.mode != "none" and (self.mode != "once" or not replays)
        is_there = replays and (self.path.exists() or not self.records)
        self.file = self._read() if is_there else _NO_FILE
        self.playback: Playback = Playback(self.file, self._match_headers)
        self._problems: list[str] = []
        self._header = self.file.header.model_copy(deep=True)
        self._new: list[Entry] = []
        self._streams = max(self.file.streams(), default=0)
        self._started_s = time.monotonic()
        self._stack.enter_context(replaced_by(self))
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stack.close()
        if self._problems and (exc is None or isinstance(exc, Exception)) and not isinstance(exc, TapeMismatch):
            raise TapeMismatch(self._problems[0]) from exc
        if exc_type is not None:
            return
        if self.records:
            self._write()
        elif not self._partial and (left := self.playback.left()):
            raise self.mismatch(f"the program did not make all requests of the tape {self.path}: {'; '.join(left)}")

    # For programs.

    @property
    def provider(self) -> str:
        """Name of the provider that was recorded; the first one if there are several.

        Raises:
            TapeError: No provider is recorded yet.
        """
        return recorded_provider(self._header.clients)

    @contextlib.contextmanager
    def client(self, provider: str | None = None, **options: Any) -> Iterator[Client]:
        """A `Client` whose requests are recorded or replayed.

        Args:
            provider: As for `Client`. In a replay, None stands for the recorded provider.
            options: As for `Client`. A replay needs neither settings nor a credential: omitted settings come from the
                recording.
        """
        name, options = self._options(provider, options)
        with self.http_client() as http, Client(name, http_client=http, **options) as client:
            yield client

    @contextlib.asynccontextmanager
    async def async_client(self, provider: str | None = None, **options: Any) -> AsyncIterator[AsyncClient]:
        """An `AsyncClient` whose requests are recorded or replayed; see `client`."""
        name, options = self._options(provider, options)
        async with self.async_http_client() as http, AsyncClient(name, http_client=http, **options) as client:
            yield client

    def http_client(self, http: Any = None) -> TapedClient:
        """Return an HTTP client for `Client(http_client=...)` that wraps `http`, or a client like the default one."""
        return TapedClient(self, http or new_http_client())

    def async_http_client(self, http: Any = None) -> AsyncTapedClient:
        """The same for `AsyncClient`."""
        return AsyncTapedClient(self, http or new_async_http_client())

    def remember(self, name: str, make: Callable[[], T]) -> T:
        """Return a value from outside the program, such as the id of an existing session.

        Args:
            name: A name for it on the tape.
            make: Returns the value as JSON. It is called if the value is not on the tape.

        Raises:
            TapeError: The value is not on the tape, and the mode does not record.
        """
        if name not in self._header.values:
            if not self.records:
                raise TapeError(
                    f"the tape {self.path} has no value {name!r}; record it again with --record-mode=rewrite"
                )
            self._header.values[name] = make()
        value: T = self._header.values[name]
        return value

    # The effect source, while the tape is open.

    def new_id(self) -> str:
        """Return the next random id of the recording; a new id if there are no more."""
        recorded = self.playback.take_id()
        if recorded is not None:
            return recorded
        new = super().new_id()
        self.add(RandomId(random=new))
        return new

    def wait_s(self, seconds: float) -> float:
        """Return the length of a wait, which is scaled in a replay."""
        return seconds if self.records else self._pace * seconds

    # For the taped HTTP clients.

    def play(self, sent: TapedRequest) -> Exchange | None:
        """Return the recorded exchange for a request; None if the request must be sent and recorded.

        Raises:
            TapeMismatch: The request is not on the tape.
        """
        exchange = self.playback.take(sent)
        if exchange is None and not self.records:
            found = self.playback.difference(sent)
            for secret in spellings(self._secrets):
                found = secret.sub(REDACTED, found)
            raise self.mismatch(f"the tape {self.path} does not have this request:\n{found}")
        return exchange

    def mismatch(self, problem: str) -> TapeMismatch:
        """Return the error for a difference. It is raised again at the end, in case the program catches it."""
        problem += "\nIf the program is correct, record the tape again with --record-mode=rewrite."
        self._problems.append(problem)
        return TapeMismatch(problem)

    def request(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> TapedRequest:
        """Return a request in the form that the tape stores."""
        self._secrets |= credentials_in(headers)
        return TapedRequest(
            method=method,
            target=self.text(target),
            headers={name: self.text(value) for name, value in kept_headers(headers, self._keep[0]).items()},
            body=packed(self.data(body)),
        )

    def response_headers(self, headers: Mapping[str, str]) -> dict[str, str]:
        """Return the headers of a response in the form that the tape stores."""
        return {name: self.text(value) for name, value in kept_headers(headers, self._keep[1]).items()}

    def data(self, data: bytes) -> bytes:
        """Return the bytes of a body in the form that the tape stores."""
        return without_tokens(replaced(data, self._replace))

    def text(self, text: str) -> str:
        """Return text in the form that the tape stores."""
        return replaced(text.encode(), self._replace).decode()

    def add(self, entry: Entry) -> None:
        """Record an entry."""
        with self._lock:
            self._new.append(entry)

    def new_stream(self) -> int:
        """Return the number of the next stream to record."""
        with self._lock:
            self._streams += 1
            return self._streams

    def now_ms(self) -> int:
        """Return the milliseconds since the tape was opened."""
        return round(1000 * (time.monotonic() - self._started_s))

    def _options(self, provider: str | None, options: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        if not self.records:
            return replayed_options(self._header.clients, provider, options)
        recorded = recorded_client(provider, options)
        self._secrets |= recorded.secrets
        self._header.clients.setdefault(recorded.provider, recorded.settings)
        return recorded.provider, options

    def _read(self) -> TapeFile:
        if not self.path.exists():
            raise TapeError(f"the tape {self.path} does not exist; record it with --record-mode=once, or mode='once'")
        return read_tape(self.path)

    def _write(self) -> None:
        header = self._header.model_copy(update={"provenance": self._provenance})
        new = sorted(self._new, key=lambda entry: -1 if isinstance(entry, RandomId) else entry.ms)
        file = TapeFile(header, (*self.file.entries, *new))
        found = dict.fromkeys(leaks(file, self._secrets))
        if found:
            raise TapeError(
                f"the tape {self.path} was not written, because it would contain a secret in {'; '.join(found)}. Do not"
                " send the secret there, or pass a text for it in `replace`"
            )
        if self._new:
            file.write(self.path)
