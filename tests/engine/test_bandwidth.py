"""A limit on bytes per second that many threads share."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from airflow_s3_azure.engine.bandwidth import Bandwidth
from airflow_s3_azure.engine.cancellation import Cancellation
from airflow_s3_azure.engine.errors import Cancelled, ConfigurationError


class Clock(Cancellation):
    """Time that passes only in a sleep, or, if it is stopped, not at all."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, is_stopped: bool = False) -> None:
        super().__init__()
        self.now = 1000.0
        self.sleeps: list[float] = []
        self._is_stopped = is_stopped
        monkeypatch.setattr("airflow_s3_azure.engine.bandwidth.time.monotonic", lambda: self.now)

    def sleep(self, seconds: float) -> None:
        """Record a sleep, and let time pass."""
        self.sleeps.append(seconds)
        if not self._is_stopped:
            self.now += seconds


def test_bytes_pass_at_the_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred pieces take the time of ninety-nine: the first one passes at once."""
    clock = Clock(monkeypatch)
    bandwidth = Bandwidth(1000, clock)

    for _ in range(100):
        bandwidth.spend(50)

    assert clock.now - 1000.0 == pytest.approx(99 * 0.05)


def test_a_pause_is_not_made_up_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a minute without a byte the next second is not full of them."""
    clock = Clock(monkeypatch)
    bandwidth = Bandwidth(1000, clock)
    bandwidth.spend(1000)
    clock.now += 60

    for _ in range(11):
        bandwidth.spend(100)

    assert clock.now - 1060.0 == pytest.approx(1.0)


def test_all_threads_share_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of eight threads that spend at the same instant, each waits for all bytes admitted before its own."""
    clock = Clock(monkeypatch, is_stopped=True)
    bandwidth = Bandwidth(1_000_000, clock)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(bandwidth.spend, [5000] * 100))

    assert sorted(clock.sleeps) == pytest.approx([number * 0.005 for number in range(1, 100)])


def test_a_wait_ends_when_the_copy_is_stopped() -> None:
    """A limit of a byte per second must not keep a task alive that Airflow ends."""
    cancellation = Cancellation()
    bandwidth = Bandwidth(1, cancellation)
    bandwidth.spend(3600)
    threading.Timer(0.05, cancellation.set, ["test"]).start()

    with pytest.raises(Cancelled):
        bandwidth.spend(1)


@pytest.mark.parametrize("limit", [0, -1, float("nan")])
def test_a_limit_that_nothing_can_pass_is_refused(limit: float) -> None:
    """Named as the operator's argument, with an example."""
    with pytest.raises(ConfigurationError, match=r"max_bandwidth is .*such as 50_000_000"):
        Bandwidth(limit, Cancellation())
