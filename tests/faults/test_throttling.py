"""Many tasks at once, before a server that takes so many requests a second and answers 503 to all others."""

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
"""Requests per second that the server takes."""
BURST = 10
"""Requests that it takes at once after a pause."""


class Limit:
    """Takes note of each request, and refuses those above the rate."""

    def __init__(self) -> None:
        self.taken: list[float] = []
        self.refused: list[float] = []
        self._tokens = float(BURST)
        self._last = time.monotonic()
        self._lock = threading.Lock()

    def refuses(self, request: Request) -> bool:
        """Tell whether this request comes too early."""
        del request
        with self._lock:
            now = time.monotonic()
            self._tokens = min(BURST, self._tokens + (now - self._last) * RATE)
            self._last = now
            is_taken = self._tokens >= 1
            self._tokens -= is_taken
            (self.taken if is_taken else self.refused).append(now)
            return not is_taken


def test_tasks_that_are_throttled_together_do_not_come_back_together(make_route: Callable[[], Route]) -> None:
    """All is copied, at about the rate; fewer requests are refused than taken, and they come at no time as a herd."""
    routes = [make_route() for _ in range(TASKS)]
    for route in routes:
        route.put(random.Random(route.name).randbytes(BLOCKS * BLOCK))
    limit = Limit()
    routes[0].s3.strike(Refuse(503, "SlowDown"), limit.refuses, times=None)
    options = CopyOptions(block_size=BLOCK, retry=RetryPolicy(first_wait=0.5, max_wait=8.0))

    with ThreadPoolExecutor(TASKS) as tasks:
        results = list(tasks.map(lambda route: route.copy(options), routes))

    assert [result.error for result in results] == [None] * TASKS
    assert len(limit.taken) == TASKS * (BLOCKS + 1)
    began, ended = limit.taken[0], limit.taken[-1]
    every = Counter(int(at - began) for at in limit.taken + limit.refused)
    print(  # noqa: T201
        f"{len(limit.taken)} taken and {len(limit.refused)} refused in {ended - began:.1f} s; "
        f"in each second: {[every[number] for number in range(max(every) + 1)]}"
    )
    assert len(limit.refused) < 2 * len(limit.taken)
    assert ended - began < 4 * len(limit.taken) / RATE
    # The first second is the herd that nobody can know of; none of its size follows.
    assert max(count for number, count in every.items() if number > 0) <= 0.75 * every[0]
