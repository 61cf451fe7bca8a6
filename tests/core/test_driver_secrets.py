from __future__ import annotations

import logging
import traceback
import warnings
from collections.abc import Callable

import httpx
import pytest

from support.acme import TOKEN
from support.client_runners import ClientRunner, both_runners
from support.scripted import Answer, Script, ok, status

pytestmark = pytest.mark.usefixtures("acme_installed")


LEAKS: dict[str, Callable[[], Answer]] = {
    "in a refusal": lambda: httpx.Response(401, json={"message": f"bad {TOKEN}", "code": TOKEN, "request_id": TOKEN}),
    "in a header": lambda: status(500, "", x_request_id=TOKEN),
    "in plain text": lambda: status(500, f"{'x' * 490}{TOKEN}"),
    "in a page": lambda: status(502, f"<html><title>{TOKEN}</title>"),
    "in a redirect": lambda: status(302, "", location=f"https://evil.example/{TOKEN}"),
    "in text with success": lambda: status(200, f"hello {TOKEN}", x_request_id=TOKEN),
    "cut off in text with success": lambda: status(200, f"{'x' * 70}{TOKEN}"),
    "as a key": lambda: ok({"id": {TOKEN: 1}}),
    "as a value": lambda: ok({"id": {"token": TOKEN}}),
    "in a broken answer": lambda: httpx.RemoteProtocolError(f"illegal header line: bytearray(b'{TOKEN}')"),
    "in a failed connection": lambda: httpx.ConnectError(f"cannot reach http://{TOKEN}@proxy"),
}


@both_runners
@pytest.mark.parametrize("leak", LEAKS.values(), ids=LEAKS)
def test_a_secret_that_the_backend_repeats_is_shown_nowhere(
    runner: ClientRunner, leak: Callable[[], Answer], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        error = Script(leak()).failure(runner, lambda client: client.sessions.get("s1"), retry=None)

    shown = [*traceback.format_exception(error), repr(error), str(vars(error)), *getattr(error, "__notes__", [])]
    chain: BaseException | None = error
    while chain is not None:
        shown += [repr(chain), str(chain)]
        chain = chain.__cause__ or chain.__context__
    shown += [str(warning.message) for warning in warned] + caplog.messages
    assert TOKEN[:8] not in "".join(shown)


@both_runners
def test_a_client_shows_no_secret(runner: ClientRunner) -> None:
    shown = runner.call("acme", lambda client: f"{client!r} {client} {client._provider.settings!r}", token=TOKEN)

    assert TOKEN not in shown
