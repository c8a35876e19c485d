"""A limit on the bytes per second that all workers of one copy read together."""

from __future__ import annotations

import threading
import time

from airflow_s3_azure.engine.cancellation import Cancellation
from airflow_s3_azure.engine.errors import ConfigurationError


class Bandwidth:
    """Admits bytes at an average rate. A pause earns no credit: there is no burst after it.

    Theory of operation: the link is a queue that drains at ``limit``. ``_free`` is when it will have drained. Bytes are
    appended at its end, and their reader waits until the bytes before them have drained. So the lock is held for an
    addition only, and readers wait outside it.

    :param limit: bytes per second
    :param cancellation: ends a wait
    :raises ConfigurationError: if the limit is not above zero
    """

    def __init__(self, limit: float, cancellation: Cancellation) -> None:
        if not limit > 0:
            raise ConfigurationError(
                f"max_bandwidth is {limit:g}; it takes bytes per second above zero, such as 50_000_000, or None for no limit"
            )
        self._limit = limit
        self._cancellation = cancellation
        self._lock = threading.Lock()
        self._free = 0.0
        """When the bytes admitted so far will have drained, by the monotonic clock."""

    def spend(self, size: int) -> None:
        """Wait until all bytes admitted before have drained, and admit ``size`` more.

        :raises Cancelled: while waiting
        """
        with self._lock:
            now = time.monotonic()
            begin = max(now, self._free)
            self._free = begin + size / self._limit
        if begin > now:
            self._cancellation.sleep(begin - now)
