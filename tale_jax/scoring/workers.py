"""Threads that run batches."""

from __future__ import annotations

import concurrent.futures
import contextlib
from collections.abc import Callable, Iterator
from typing import Any

SIDE_BY_SIDE = 2  # batches that run at the same time


class Workers:
    """Threads that can be stopped and go on anew.

    A CPU runs side by side only what comes from different threads.  Several devices must all be
    given the same programs in the same order: by one thread.

    Args:
        one_device: whether the work is that of one device.
    """

    def __init__(self, *, one_device: bool):
        self._threads = SIDE_BY_SIDE if one_device else 1
        self._pool = self._hire()

    def _hire(self) -> concurrent.futures.ThreadPoolExecutor:
        return concurrent.futures.ThreadPoolExecutor(self._threads, "scorer")

    def submit(self, work: Callable[..., Any], *given: Any) -> concurrent.futures.Future[Any]:
        """Begin work, and do not wait for it."""
        return self._pool.submit(work, *given)

    def restart(self, *, wait: bool) -> None:
        """Drop what has not begun; ``wait`` for what has."""
        self._pool.shutdown(wait=wait, cancel_futures=True)
        self._pool = self._hire()

    @contextlib.contextmanager
    def stopping(self) -> Iterator[None]:
        """Where anything fails, all work stops."""
        try:
            yield
        except BaseException:
            self.restart(wait=False)
            raise
