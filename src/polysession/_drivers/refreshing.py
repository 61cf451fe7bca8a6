"""Lets one refresh of an authorisation run at a time: in threads, and in asyncio."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import AsyncIterator, Iterator

from polysession._drivers.transport import Deadline


class RefreshLock:
    """A lock for threads. A forked process uses a new lock, because only the parent would release the old one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process_id = os.getpid()

    @contextlib.contextmanager
    def hold(self, deadline: Deadline) -> Iterator[None]:
        """Hold the lock.

        Raises:
            DeadlineExceeded: It did not open in time.
        """
        if os.getpid() != self._process_id:
            self._lock, self._process_id = threading.Lock(), os.getpid()
        lock = self._lock
        if not lock.acquire(timeout=deadline.within_s(threading.TIMEOUT_MAX)):
            raise deadline.exceeded()
        try:
            yield
        finally:
            lock.release()


class AsyncRefreshLock:
    """A lock for tasks of one event loop."""

    def __init__(self) -> None:
        from asyncio import Lock  # noqa: PLC0415  (a sync client does not load asyncio)

        self._lock = Lock()

    @contextlib.asynccontextmanager
    async def hold(self, deadline: Deadline) -> AsyncIterator[None]:
        """Hold the lock.

        Raises:
            DeadlineExceeded: It did not open in time.
        """
        from asyncio import timeout  # noqa: PLC0415  (a sync client does not load asyncio)

        try:
            async with timeout(deadline.left_s()):
                await self._lock.acquire()
        except TimeoutError:
            raise deadline.exceeded() from None
        try:
            yield
        finally:
            self._lock.release()
