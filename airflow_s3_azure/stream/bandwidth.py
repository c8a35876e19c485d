"""A limit on the bytes per second that all workers of one copy read together."""

from __future__ import annotations

import threading
import time

from airflow_s3_azure.stream.errors import ConfigurationError
from airflow_s3_azure.stream.interruption import Interruption


class Bandwidth:
    """Lets bytes pass at a rate, on average; after a pause none are made up for.

    :param limit: bytes per second
    :param interruption: ends a wait
    :raises ConfigurationError: if the limit is not above zero
    """

    def __init__(self, limit: float, interruption: Interruption) -> None:
        if not limit > 0:
            raise ConfigurationError(
                f"max_bandwidth is {limit:g}; it takes bytes per second above zero, such as 50_000_000, or None for no limit"
            )
        self._limit = limit
        self._interruption = interruption
        self._lock = threading.Lock()
        self._free = 0.0
        """When the bytes that were let pass so far are through, by the monotonic clock."""

    def spend(self, size: int) -> None:
        """Let ``size`` bytes pass, after those of all others that came before.

        :raises Interrupted: while waiting
        """
        with self._lock:
            now = time.monotonic()
            begin = max(now, self._free)
            self._free = begin + size / self._limit
        if begin > now:
            self._interruption.sleep(begin - now)
