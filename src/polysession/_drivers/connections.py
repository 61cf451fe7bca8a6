"""A caller's connection options, as an alternative to an HTTP client."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import httpx

from polysession.errors import UsageError


@dataclass(frozen=True, slots=True)
class Connections:
    """Options of the connections and requests of one client.

    Attributes:
        http: `"aiohttp"` for connections of aiohttp; None for those of httpx.
        limits: Limits of the connection pool; None for the default.
        user_agent: Text that is added to our `user-agent`.
    """

    http: str | None = None
    limits: httpx.Limits | None = None
    user_agent: str | None = None

    def check(self, http_client: object, *, is_async: bool) -> None:
        """Refuse contradicting options.

        Raises:
            UsageError: `http` is given to a sync client, or `http` or `limits` is given together with an HTTP
                client.
        """
        if self.http is not None and not is_async:
            raise UsageError(f"http={self.http!r} is for AsyncClient; Client always uses httpx")
        if http_client is not None and self.http is not None:
            raise UsageError("pass either http or http_client: an http_client has its own connections")
        if http_client is not None and self.limits is not None:
            raise UsageError("pass either limits or http_client: set the limits of the http_client itself")
        if self.limits is not None and not isinstance(self.limits, httpx.Limits):
            raise UsageError(f"limits must be an httpx.Limits, not a {type(self.limits).__name__}")


DEFAULT_CONNECTIONS: Final = Connections()
