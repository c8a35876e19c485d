"""The one switch that stops a copy, from whichever thread notices first."""

from __future__ import annotations

import threading
from collections.abc import Callable

from airflow_s3_azure.engine.errors import Cancelled


class Cancellation:
    """A flag that workers look at between two reads and wake up for while they wait.

    Setting it is all that a signal handler may do; it takes no lock that a worker holds for long.
    """

    def __init__(self) -> None:
        self._event = threading.Event()
        self._reason = "the copy was stopped"
        self._closers: list[Callable[[], None]] = []

    def set(self, reason: str) -> None:
        """Stop the copy. The first reason is kept."""
        if not self._event.is_set():
            self._reason = reason
            self._event.set()

    def is_set(self) -> bool:
        """Tell whether the copy was stopped."""
        return self._event.is_set()

    def check(self) -> None:
        """Do nothing, or raise :class:`Cancelled` if the copy was stopped."""
        if self._event.is_set():
            raise Cancelled(f"{self._reason}; what is staged in Azure stays there for the next try")

    def on_abort(self, close: Callable[[], None]) -> None:
        """Have ``close`` called by :meth:`cut`: what a worker may be blocked in."""
        self._closers.append(close)

    def abort(self) -> None:
        """End what workers are blocked in. Not for signal handlers: it closes sockets."""
        for close in self._closers:
            close()

    def sleep(self, seconds: float) -> None:
        """Wait, or raise :class:`Cancelled` as soon as the copy is stopped."""
        self._event.wait(seconds)
        self.check()
