"""Telling how far a copy is while it runs, for the UI: through Airflow's task state store, which survives retries.

Airflow has the store since 3.3; before, nothing is told. A write goes to the API server and takes 8 to 30 ms, or
minutes if the server is away, so a thread of its own does it, and the copy never waits for it.
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
"""Of the state store. The value is {objects, all_objects, bytes, all_bytes, bytes_per_second, seconds_left, current}."""
TELL_SECONDS = 2.0
"""How often to call :meth:`LiveProgress.tell`."""
WRITE_SECONDS = 3.0
_END_SECONDS = 1.0

Told = TypeVar("Told")


class LiveProgress:
    """Writes the newest of what it is told, at most every three seconds, while its context lasts.

    :param context: the task's
    :param objects: in all
    :param size: bytes in all; None: told later
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
            # Airflow reads one answer at a time from its supervisor, so let a write that is under way end.
            self._thread.join(_END_SECONDS)

    def tell(self, objects: int, size: int, current: str | None = None, total: int | None = None) -> None:
        """Say how far it is; costs nothing.

        :param objects: done
        :param size: bytes done
        :param current: the key that was begun last
        :param total: bytes in all, where they were not known before
        """
        now, (then, before) = time.monotonic(), self._last
        if now > then and size >= before:
            rate = (size - before) / (now - then)
            # Half of it is what was before, so that it does not jump with each block.
            self._rate = rate if self._rate is None else (self._rate + rate) / 2
        self._last = (now, size)
        every = total if self._size is None else self._size
        # Below a byte a second it stands still, and nobody knows for how long.
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
                log.debug("the progress could not be told: %s", type(error).__name__)
            written = newest


def at_most_every(seconds: float, function: Callable[[Told], None]) -> Callable[[Told], None]:
    """Return a function that calls another, but not again before some seconds have passed."""
    last = time.monotonic()

    def call(value: Told) -> None:
        nonlocal last
        if (now := time.monotonic()) - last >= seconds:
            last = now
            function(value)

    return call
