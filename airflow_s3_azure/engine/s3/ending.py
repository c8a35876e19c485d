"""Finds the moment at which the next block should be requested, so that its response begins when this one ends."""

from __future__ import annotations

import time
from collections.abc import Callable


class Ending:
    """Calls a function once, while a body is read, when the rest takes no longer than the response took to begin.

    :param asked: when the request was sent, by the monotonic clock
    """

    def __init__(self, asked: float, size: int, on_ending: Callable[[], None]) -> None:
        self._began = time.monotonic()
        self._wait = self._began - asked
        self._size = size
        self._read = 0
        self._on_ending: Callable[[], None] | None = on_ending

    def add(self, size: int) -> None:
        """Count bytes that were read."""
        self._read += size
        if self._on_ending is not None and self._is_ending():
            self._on_ending()
            self._on_ending = None

    def _is_ending(self) -> bool:
        left = self._size - self._read
        # Before the half the throughput is not known, and a long latency predicts nothing.
        return left * 2 <= self._size and left * (time.monotonic() - self._began) <= self._wait * self._read
