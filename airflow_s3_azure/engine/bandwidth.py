"""A limit on the bytes per second that all workers of one copy read together."""

from __future__ import annotations

import threading
import time

from airflow_s3_azure.engine.cancellation import Cancellation
from airflow_s3_azure.engine.errors import ConfigurationError


class Bandwidth:
    """Lets bytes pass at a rate, on average; after a pause none are made up for.

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
        """When the bytes that were let pass so far are through, by the monotonic clock."""

    def spend(self, size: int) -> None:
        """Let ``size`` bytes pass, after those of all others that came before.

        :raises Cancelled: while waiting
        """
        with self._lock:
            now = time.monotonic()
            begin = max(now, self._free)
            self._free = begin + size / self._limit
        if begin > now:
            self._cancellation.sleep(begin - now)
