"""Read-ahead: when to request the next block, so that its response begins when this one ends."""

from __future__ import annotations

import time
from collections.abc import Callable


class Ending:
    """Calls a function once, when the remaining transfer time of a body drops below the time to first byte.

    Theory of operation: the time to first byte is measured from the request to its response, and predicts that of the next
    request. The remaining transfer time is estimated from the throughput so far; so the prediction is used only after half
    of the body.

    :param requested: when the request was sent, by the monotonic clock
    """

    def __init__(self, requested: float, size: int, on_ending: Callable[[], None]) -> None:
        self._began = time.monotonic()
        self._first_byte = self._began - requested
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
        return left * 2 <= self._size and left * (time.monotonic() - self._began) <= self._first_byte * self._read
