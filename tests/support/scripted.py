"""A backend with scripted responses, for tests of the drivers."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from polysession._core.retry import RetryPolicy
from polysession.errors import PolysessionError
from support.acme import TOKEN
from support.client_runners import ClientRunner, Use

Answer = httpx.Response | Exception
SESSION = {"id": "s1", "title": "Ticket", "tags": ["a"]}
QUICK = RetryPolicy(first_wait_s=0.0)


class Script:
    """A backend that returns prepared responses in order, and keeps the requests."""

    def __init__(self, *answers: Answer) -> None:
        self._answers = list(answers)
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)

    def keys(self) -> list[str]:
        return [request.headers["acme-key"] for request in self.requests]

    def call(self, runner: ClientRunner, use: Use, **options: Any) -> Any:
        options = {"http_client": runner.http(self), "retry": QUICK, "token": TOKEN} | options
        try:
            return runner.call("acme", use, **options)
        finally:
            assert not self._answers, "some prepared responses were not requested"

    def failure(self, runner: ClientRunner, use: Use, **options: Any) -> PolysessionError:
        with pytest.raises(PolysessionError) as caught:
            self.call(runner, use, **options)
        return caught.value


def ok(body: Any = SESSION, status: int = 200) -> httpx.Response:
    return httpx.Response(status, json=body)


def status(code: int, text: str = "", **headers: str) -> httpx.Response:
    return httpx.Response(code, text=text, headers={name.replace("_", "-"): value for name, value in headers.items()})
