"""Many tasks at once, before a server that accepts a rate of requests and responds 503 to all others."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from airflow_s3_azure.engine.options import CopyOptions
from airflow_s3_azure.engine.retry import RetryPolicy
from tests.faults.http1 import Request
from tests.faults.proxy import Refuse
from tests.faults.route import Route

pytestmark = pytest.mark.servers

TASKS = 24
BLOCK = 16 * 1024
BLOCKS = 4
RATE = 30.0
"""Requests per second that the server accepts."""
BURST = 10
"""Requests that it accepts at once after a pause."""


class Limit:
    """Records each request, and refuses those above the rate."""

    def __init__(self) -> None:
        self.accepted: list[float] = []
        self.refused: list[float] = []
        self._tokens = float(BURST)
        self._last = time.monotonic()
        self._lock = threading.Lock()

    def refuses(self, request: Request) -> bool:
        """Return whether this request exceeds the rate."""
        del request
        with self._lock:
            now = time.monotonic()
            self._tokens = min(BURST, self._tokens + (now - self._last) * RATE)
            self._last = now
            is_accepted = self._tokens >= 1
            self._tokens -= is_accepted
            (self.accepted if is_accepted else self.refused).append(now)
            return not is_accepted


def test_throttled_tasks_copy_at_about_the_accepted_rate(make_route: Callable[[], Route]) -> None:
    """All is copied, and fewer than twice as many requests are refused as accepted. Jitter: ``tests/engine/test_retry.py``."""
    routes = [make_route() for _ in range(TASKS)]
    for route in routes:
        route.put(random.Random(route.name).randbytes(BLOCKS * BLOCK))
    limit = Limit()
    routes[0].s3.strike(Refuse(503, "SlowDown"), limit.refuses, times=None)
    options = CopyOptions(block_size=BLOCK, retry=RetryPolicy(first_wait=0.5, max_wait=8.0))

    with ThreadPoolExecutor(TASKS) as tasks:
        results = list(tasks.map(lambda route: route.copy(options), routes))

    assert [result.error for result in results] == [None] * TASKS
    assert len(limit.accepted) == TASKS * (BLOCKS + 1)
    began, ended = limit.accepted[0], limit.accepted[-1]
    every = Counter(int(at - began) for at in limit.accepted + limit.refused)
    print(  # noqa: T201
        f"{len(limit.accepted)} accepted and {len(limit.refused)} refused in {ended - began:.1f} s; "
        f"in each second: {[every[number] for number in range(max(every) + 1)]}"
    )
    assert len(limit.refused) < 2 * len(limit.accepted)
    assert ended - began < 4 * len(limit.accepted) / RATE
