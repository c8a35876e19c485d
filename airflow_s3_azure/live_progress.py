"""Live progress reporting for the UI, through Airflow's task state store, which survives retries.

Airflow has the store since 3.3; before, nothing is reported. A write goes to the API server and takes 8 to 30 ms, or minutes
if the server is down, so a separate thread writes, and the copy never waits.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self, TypeVar

from airflow_s3_azure.engine.quoting import get_logger, printable

log = get_logger(__name__)

KEY = "progress"
"""Key of the state store. The value is {objects, all_objects, bytes, all_bytes, bytes_per_second, seconds_left, current}."""
UPDATE_SECONDS = 2.0
"""Interval in which to call :meth:`LiveProgress.update`."""
WRITE_SECONDS = 3.0
_END_SECONDS = 1.0

Value = TypeVar("Value")


class LiveProgress:
    """Writes the latest progress, at most every three seconds, within its context.

    :param context: the task's
    :param objects: total number
    :param size: total bytes; None: unknown until :meth:`update` is called with it
    :param seconds: between two writes
    """

    def __init__(
        self, context: Mapping[str, Any], *, objects: int, size: int | None = None, seconds: float = WRITE_SECONDS
    ) -> None:
        self._store = context.get("task_state_store")
        self._objects = objects
        self._size = size
        self._seconds = seconds
        self._newest: dict[str, Any] | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._write_all, name="live-progress", daemon=True)
        self._last = (time.monotonic(), 0)
        self._rate: float | None = None

    def __enter__(self) -> Self:
        if self._store is not None:
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        if self._store is not None:
            # The task shares one channel to its supervisor, so a write in flight must end before the task goes on.
            self._thread.join(_END_SECONDS)

    def update(
        self, objects: int, size: int, current: str | None = None, *, resumed: int = 0, total: int | None = None
    ) -> None:
        """Set the latest progress, without I/O.

        :param objects: done
        :param size: bytes done
        :param current: the key that was started last
        :param resumed: bytes of ``size`` that an earlier execution copied; they do not count for the rate
        :param total: total bytes, if they were unknown before
        """
        now, (then, before) = time.monotonic(), self._last
        copied = size - resumed
        if now > then and copied >= before:
            rate = (copied - before) / (now - then)
            # A moving average, so that it does not jump with each block.
            self._rate = rate if self._rate is None else (self._rate + rate) / 2
        self._last = (now, copied)
        every = total if self._size is None else self._size
        # Below one byte per second the copy stalls, and the time left is unknown.
        left = (
            round((every - size) / self._rate) if every and self._rate and self._rate >= 1 and every >= size else None
        )
        self._newest = {
            "objects": objects,
            "all_objects": self._objects,
            "bytes": size if every is None else min(size, every),
            "all_bytes": every,
            "bytes_per_second": None if self._rate is None else round(self._rate),
            "seconds_left": left,
            "current": None if current is None else printable(current),
        }

    def _write_all(self) -> None:
        written = None
        while not self._ended.wait(self._seconds):
            newest = self._newest
            if newest is None or newest is written:
                continue
            try:
                self._store.set(KEY, newest)  # type: ignore[union-attr]
            except Exception as error:
                log.debug("the progress could not be written: %s", type(error).__name__)
            written = newest


def at_most_every(seconds: float, function: Callable[[Value], None]) -> Callable[[Value], None]:
    """Return a function that calls another one at most once per interval."""
    last = time.monotonic()

    def call(value: Value) -> None:
        nonlocal last
        if (now := time.monotonic()) - last >= seconds:
            last = now
            function(value)

    return call
