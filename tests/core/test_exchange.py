from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from polysession._core.exchange import USER_AGENT, Exchange, redact
from polysession._core.flow import Call, Response
from polysession.errors import (
    AuthenticationFailed,
    Conflict,
    ConnectError,
    ConnectionLost,
    InvalidRequest,
    MalformedResponse,
    NetworkTimeout,
    NotFound,
    PermissionDenied,
    PolysessionError,
    RateLimited,
    ServerError,
    StatusError,
    TransportError,
    UnexpectedRedirect,
    UsageError,
)
from support.acme import BASE_URL, TOKEN, AcmeProvider, AcmeSettings, acme

NOW = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)
READ, WRITE, DELETION = Call("GET", "/s"), Call("POST", "/s"), Call("DELETE", "/s")
KEYED = Call("POST", "/s", idempotency_header="acme-key")
DOUBT = "The backend may have executed the request: check before you repeat it"

exchange = Exchange(acme())


def refusal(response: Response, call: Call = READ, *before: Response | TransportError) -> StatusError:
    with pytest.raises(StatusError) as caught:
        exchange.raise_for_outcome(call, [*before, response], NOW)
    return caught.value


def failure(error: Exception, by: Exchange = exchange) -> TransportError:
    found = by.failure(error)
    assert found is not None
    return found


def body(**fields: Any) -> bytes:
    return json.dumps(fields).encode()


def test_an_address_is_the_base_url_and_the_path() -> None:
    assert exchange.url(Call("GET", "/s?limit=3")) == "https://acme.example/api/s?limit=3"


def test_an_address_too_long_for_http_is_a_usage_error() -> None:
    room = 60_000 - len(BASE_URL)

    assert len(exchange.url(Call("GET", "/" * room))) == 60_000
    with pytest.raises(UsageError, match="would have 60001 characters"):
        exchange.url(Call("GET", "/" * (room + 1)))


def test_headers_are_the_constant_ones_and_those_of_the_call() -> None:
    constant = {
        "accept": "application/json",
        "accept-encoding": "gzip, deflate",
        "user-agent": USER_AGENT,
        "authorization": f"Bearer {TOKEN}",
    }

    assert exchange.headers(READ, None) == constant
    assert exchange.headers(Call("GET", "/", headers={"x-beta": "1"}), None) == constant | {"x-beta": "1"}


def test_a_body_is_declared_as_json() -> None:
    assert exchange.headers(Call("POST", "/", body=b"{}"), None)["content-type"] == "application/json"
    assert "content-type" not in exchange.headers(WRITE, None)


def test_an_idempotency_key_stands_in_the_header_of_the_call_that_wants_one() -> None:
    assert exchange.headers(KEYED, "key-1")["acme-key"] == "key-1"
    assert "key-1" not in exchange.headers(READ, "key-1").values()


def test_a_success_is_the_reply_and_counts_its_attempts() -> None:
    done, busy = Response(202, {}, b"{}"), Response(503, {}, b"")

    assert exchange.raise_for_outcome(READ, [done], NOW) is done
    assert exchange.raise_for_outcome(READ, [busy, done], NOW) == Response(202, {}, b"{}", attempts=2)


@pytest.mark.parametrize(
    ("status", "error_class"),
    [
        (300, UnexpectedRedirect),
        (304, UnexpectedRedirect),
        (400, InvalidRequest),
        (401, AuthenticationFailed),
        (403, PermissionDenied),
        (404, NotFound),
        (408, ServerError),
        (409, Conflict),
        (418, InvalidRequest),
        (422, InvalidRequest),
        (429, RateLimited),
        (500, ServerError),
        (503, ServerError),
        (599, ServerError),
        (199, StatusError),
        (600, StatusError),
    ],
)
def test_a_refusal_is_classified_by_its_status(status: int, error_class: type[StatusError]) -> None:
    error = refusal(Response(status, {}, b""))

    assert type(error) is error_class
    assert (error.status, error.attempts) == (status, 1)


def test_a_code_of_the_backend_says_more_than_the_status() -> None:
    error = refusal(Response(400, {}, body(code="busy", message="Try later.")))

    assert type(error) is Conflict
    assert (error.code, error.message) == ("busy", "Try later.")


def test_an_unknown_code_leaves_the_class_to_the_status() -> None:
    assert type(refusal(Response(404, {}, body(code="odd")))) is NotFound


@pytest.mark.parametrize(
    ("headers", "content", "request_id"),
    [
        ({"x-request-id": "from-header"}, body(request_id="from-body"), "from-header"),
        ({}, body(request_id="from-body"), "from-body"),
        ({}, b"", None),
    ],
)
def test_the_request_id_is_kept(headers: dict[str, str], content: bytes, request_id: str | None) -> None:
    assert refusal(Response(404, headers, content)).request_id == request_id


@pytest.mark.parametrize(
    ("status", "content", "message"),
    [
        (404, body(message="No session s1."), "No session s1."),
        (404, b"", "the resource does not exist, or base_url is not the address of this backend"),
        (401, b"", "the backend does not accept the credential: check it or renew it"),
        (429, b" ", "too many requests"),
        (503, b"", "the backend failed without giving a reason"),
        (400, b"", "the backend refused the request without giving a reason"),
        (500, b"Internal Server Error", "Internal Server Error"),
        (502, b"<html><head><title>502 Bad Gateway</title>", 'an HTML page titled "502 Bad Gateway"'),
        (400, body(odd="shape"), '{"odd": "shape"}'),
        (400, body(message="a\nb\x1b[31m"), r"a\nb\x1b[31m"),
        (400, body(message="x" * 501), "x" * 500 + "…"),
    ],
)
def test_the_message_is_what_the_backend_said_or_what_the_status_means(
    status: int, content: bytes, message: str
) -> None:
    assert refusal(Response(status, {}, content)).message == message


@pytest.mark.parametrize(
    ("headers", "target"), [({"location": "https://evil.example/\n"}, r"'https://evil.example/'"), ({}, "'nowhere'")]
)
def test_a_redirect_names_its_target(headers: dict[str, str], target: str) -> None:
    error = refusal(Response(302, headers, b"moved"))

    assert f"redirects to {target}. Redirects are not followed" in error.message


@pytest.mark.parametrize(("headers", "seconds"), [({"retry-after": "7"}, 7.0), ({}, None)])
def test_a_rate_limit_tells_how_long_to_wait(headers: dict[str, str], seconds: float | None) -> None:
    error = refusal(Response(429, headers, b""))

    assert isinstance(error, RateLimited)
    assert error.retry_after_s == seconds


@pytest.mark.parametrize(
    ("error", "error_class", "unknown", "said"),
    [
        (
            httpx.ConnectError("refused"),
            ConnectError,
            False,
            f"cannot connect to '{acme().settings.base_url}': refused",
        ),
        (httpx.ProxyError("407"), ConnectError, False, r"cannot connect to '.*': 407"),
        (httpx.UnsupportedProtocol("ftp"), ConnectError, False, r"cannot connect to '.*': ftp"),
        (httpx.ConnectTimeout(""), NetworkTimeout, False, r"no response in time \(ConnectTimeout\)"),
        (httpx.PoolTimeout(""), ConnectError, False, "each open stream holds one"),
        (httpx.ReadTimeout(""), NetworkTimeout, True, r"no response in time \(ReadTimeout\)"),
        (httpx.WriteTimeout(""), NetworkTimeout, True, r"no response in time \(WriteTimeout\)"),
        (httpx.ReadError(""), ConnectionLost, True, "incomplete or not valid HTTP: ReadError"),
        (httpx.RemoteProtocolError("cut"), ConnectionLost, True, "incomplete or not valid HTTP: cut"),
        (httpx.DecodingError("gzip"), ConnectionLost, True, "incomplete or not valid HTTP: gzip"),
    ],
)
def test_a_missing_answer_is_classified_by_how_it_failed(
    error: httpx.RequestError,
    error_class: type[TransportError],
    unknown: bool,  # noqa: FBT001
    said: str,
) -> None:
    found = failure(error)

    assert type(found) is error_class
    assert (found.outcome_unknown, found.__cause__) == (unknown, error)
    with pytest.raises(error_class, match=said) as caught:
        exchange.raise_for_outcome(READ, [ConnectError(), found], NOW)
    retryable = not isinstance(error, httpx.PoolTimeout)
    assert (caught.value.attempts, caught.value.retryable, caught.value.outcome_unknown) == (2, retryable, False)


@pytest.mark.parametrize("error", [ValueError("x"), httpx.InvalidURL("x"), RuntimeError("closed")])
def test_an_error_that_is_not_about_the_network_is_not_ours(error: Exception) -> None:
    assert exchange.failure(error) is None


def lost() -> TransportError:
    return failure(httpx.ReadError(""))


def unconnected() -> TransportError:
    return failure(httpx.ConnectError(""))


@pytest.mark.parametrize("call", [WRITE, KEYED, DELETION])
@pytest.mark.parametrize(
    "outcomes",
    [
        [lost()],
        [lost(), unconnected()],
        [Response(500, {}, b"")],
        [Response(408, {}, b"")],
        [lost(), Response(429, {}, b"")],
        [Response(503, {}, b""), Response(404, {}, b"")],
    ],
)
def test_a_change_that_may_have_been_made_by_any_attempt_leaves_the_outcome_unknown(
    call: Call, outcomes: list[Response | TransportError]
) -> None:
    with pytest.raises(PolysessionError) as caught:
        exchange.raise_for_outcome(call, outcomes, NOW)
    error = caught.value
    exchange.add_context(error, "sessions.create", call, None)

    assert error.outcome_unknown
    assert error.message.endswith(f". {DOUBT}")
    assert ".." not in error.message


@pytest.mark.parametrize(
    ("call", "outcomes"),
    [
        (READ, [lost()]),
        (READ, [Response(500, {}, b"")]),
        (Call("POST", "/search", read_only=True), [lost()]),
        (WRITE, [unconnected()]),
        (WRITE, [Response(400, {}, b"")]),
        (KEYED, [unconnected(), Response(429, {}, b"")]),
    ],
)
def test_otherwise_nothing_is_in_doubt(call: Call, outcomes: list[Response | TransportError]) -> None:
    with pytest.raises(PolysessionError) as caught:
        exchange.raise_for_outcome(call, outcomes, NOW)
    exchange.add_context(caught.value, "sessions.create", call, None)

    assert not caught.value.outcome_unknown
    assert DOUBT not in str(caught.value)


@pytest.mark.parametrize(("call", "unknown"), [(WRITE, True), (READ, False), (None, False)])
def test_an_unreadable_success_of_a_change_leaves_the_outcome_unknown(call: Call | None, unknown: bool) -> None:  # noqa: FBT001
    error = MalformedResponse("unreadable")

    exchange.add_context(error, "sessions.create", call, None)

    assert error.outcome_unknown is unknown
    assert (DOUBT in error.message) is unknown


def test_an_error_is_told_whose_it_is_and_after_how_many_attempts() -> None:
    error = NotFound("not in the list")

    exchange.add_context(error, "sessions.get", READ, Response(200, {}, b"", attempts=3))

    assert (error.provider, error.operation, error.attempts) == ("acme", "sessions.get", 3)


def test_what_an_error_says_already_is_kept() -> None:
    error = NotFound("gone", provider="other", operation="agents.get", attempts=2)

    exchange.add_context(error, "sessions.get", READ, Response(200, {}, b"", attempts=3))

    assert (error.provider, error.operation, error.attempts) == ("other", "agents.get", 2)


def test_a_usage_error_counts_no_attempts() -> None:
    error = UsageError("wrong")

    exchange.add_context(error, "sessions.get", READ, Response(200, {}, b""))

    assert error.attempts == 0


SPELLINGS = {
    "as it is": lambda secret: secret,
    "in JSON": lambda secret: json.dumps(secret)[1:-1],
    "in an address": lambda secret: str(httpx.QueryParams({"": secret}))[1:],
    "in HTML": lambda secret: secret.replace("&", "&amp;").replace('"', "&quot;"),
}


@pytest.mark.parametrize("spelling", SPELLINGS.values(), ids=SPELLINGS)
def test_secrets_are_struck_out_of_all_that_an_error_says(spelling: Any) -> None:
    secret = 'to\\ken"/&=+'
    spelt = spelling(secret)
    careful = Exchange(acme(token=secret))
    reply = Response(401, {"x-request-id": spelt}, body(message=f"bad {spelt}!", code=f"no {spelt}"))

    with pytest.raises(AuthenticationFailed) as caught:
        careful.raise_for_outcome(READ, [reply], NOW)

    error = caught.value
    assert (error.message, error.code, error.request_id) == ("bad ***!", "no ***", "***")


def test_a_secret_is_struck_out_before_a_long_text_is_cut() -> None:
    error = refusal(Response(500, {}, b"x" * 490 + TOKEN.encode()))

    assert error.message == "x" * 490 + "***"


def test_a_redirect_does_not_tell_the_secret() -> None:
    assert TOKEN not in str(refusal(Response(302, {"location": f"https://evil.example/?t={TOKEN}"}, b"")))


def test_errors_of_a_flow_are_struck_too() -> None:
    error = MalformedResponse(f"came: {TOKEN}\n", code=TOKEN, request_id=TOKEN)

    exchange.add_context(error, "sessions.get", READ, None)

    assert (error.message, error.code, error.request_id) == ("came: ***", "***", "***")


def test_no_message_is_endless() -> None:
    error = MalformedResponse("x" * 2_001)

    exchange.add_context(error, "sessions.get", READ, None)

    assert error.message == "x" * 2_000 + "…"


def test_an_error_that_passes_twice_is_told_once() -> None:
    error = MalformedResponse("unreadable.")

    for _ in range(2):
        exchange.add_context(error, "sessions.create", WRITE, None)

    assert error.message == f"unreadable. {DOUBT}"


def test_a_cause_that_quotes_a_secret_is_left_out() -> None:
    careful = Exchange(acme(token=f"{TOKEN}&"))
    found = failure(httpx.RemoteProtocolError(f"illegal line: bytearray(b'{TOKEN}&')"), careful)

    assert found.__cause__ is None
    assert found.message == "the response is incomplete or not valid HTTP: illegal line: bytearray(b'***')"


def test_of_two_secrets_the_longer_is_struck_first() -> None:
    class TwoSecrets(AcmeSettings):
        def secrets(self) -> tuple[str, ...]:
            return ("abcdef", "abcdefghi")

    careful = Exchange(AcmeProvider(TwoSecrets(token=SecretStr("abcdef"))))

    assert failure(httpx.ReadError("abcdefghi"), careful).message.endswith(": ***")


SHORT = {
    "no backend takes it": "no backend takes it",
    "the key k, which": "the key ***, which",
    '{"key":"k"}': '{"key":"***"}',
    "k": "***",
    "key=k&x": "key=***&x",
    "Bearer%20k": "Bearer%20***",
    r"said\nk": r"said\n***",
    "k1 k_ 1k ük kü": "k1 k_ 1k ük kü",
}


@pytest.mark.parametrize(("text", "shown"), SHORT.items())
def test_a_very_short_secret_is_struck_out_where_it_stands_alone(text: str, shown: str) -> None:
    careful = Exchange(acme(token="k"))
    error = MalformedResponse(text, code=text, request_id=text)

    careful.add_context(error, "sessions.get", READ, None)

    assert (error.message, error.code, error.request_id) == (shown, shown, shown)


@pytest.mark.parametrize(
    ("secret", "shown"), [("oken1", "token123"), ("token1", "***23"), ("oken12", "t***3"), ("123456", "token123")]
)
def test_a_secret_of_some_length_is_struck_out_within_words_too(secret: str, shown: str) -> None:
    assert Exchange(acme(token=secret)).redact("token123") == shown


def test_a_short_secret_that_looks_like_a_long_one_does_not_spare_it() -> None:
    class TwoSecrets(AcmeSettings):
        def secrets(self) -> tuple[str, ...]:
            return ("&amp;&amp;", "&&")

    careful = Exchange(AcmeProvider(TwoSecrets(token=SecretStr("abc"))))

    assert careful.redact("a&amp;&amp;b") == "a***b"


def test_a_secret_that_is_long_only_when_it_is_spelt_out_still_has_to_stand_alone() -> None:
    careful = Exchange(acme(token="&&"))

    assert careful.redact("a &amp;&amp; b, c&amp;&amp;d") == "a *** b, c&amp;&amp;d"


def test_a_cause_that_quotes_a_very_short_secret_alone_is_left_out() -> None:
    careful = Exchange(acme(token="k"))

    assert failure(httpx.ReadError("the backend broke"), careful).__cause__ is not None
    assert failure(httpx.ReadError("illegal line: k"), careful).__cause__ is None


@pytest.mark.parametrize(
    ("text", "shown"),
    [(" a ", "a"), ("a\r\n", "a"), ("a\nb", r"a\nb"), ("\x00", r"\x00"), ("ü会", "ü会"), ("\u202e", r"\u202e")],
)
def test_foreign_text_is_made_printable(text: str, shown: str) -> None:
    assert redact(text) == shown


@pytest.mark.parametrize(("text", "shown"), [("abc", "abc"), ("abcd", "abc…"), (" abc ", "abc")])
def test_foreign_text_is_cut_at_its_limit(text: str, shown: str) -> None:
    assert redact(text, limit=3) == shown
