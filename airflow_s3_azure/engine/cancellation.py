"""Stops a copy: one flag for all of its threads."""

from __future__ import annotations

import threading
from collections.abc import Callable

from airflow_s3_azure.engine.errors import Cancelled


class Cancellation:
    """A flag that workers check between two reads, and that wakes them while they wait.

    :meth:`set` is safe in a signal handler: it takes no lock that a worker holds for long.
    """

    def __init__(self) -> None:
        self._event = threading.Event()
        self._is_set = False
        self._reason = "the copy was stopped"
        self._closers: list[Callable[[], None]] = []

    def set(self, reason: str) -> None:
        """Stop the copy. The first reason is kept."""
        if not self._is_set:
            self._reason = reason
            self._is_set = True
            self._event.set()

    def is_set(self) -> bool:
        """Return whether the copy was stopped."""
        return self._is_set

    def check(self) -> None:
        """Raise :class:`Cancelled` if the copy was stopped."""
        if self._is_set:
            raise Cancelled(f"{self._reason}; what is staged in Azure stays there for the next try")

    def on_abort(self, close: Callable[[], None]) -> None:
        """Register what :meth:`abort` closes: I/O in which a worker may be blocked."""
        self._closers.append(close)

    def abort(self) -> None:
        """Unblock all pending I/O. Not for signal handlers: it closes sockets."""
        for close in self._closers:
            close()

    def sleep(self, seconds: float) -> None:
        """Wait, or raise :class:`Cancelled` as soon as the copy is stopped."""
        self._event.wait(seconds)
        self.check()
