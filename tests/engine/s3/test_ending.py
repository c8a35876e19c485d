"""When the next block is requested: read-ahead."""

from __future__ import annotations

import pytest

from airflow_s3_azure.engine.s3.ending import Ending


@pytest.mark.parametrize(
    ("wait", "requested_at"),
    [(0.0, 100), (0.051, 90), (0.101, 80), (9.0, 50)],
    ids=["no wait", "half a tenth", "a tenth", "long"],
)
def test_the_next_block_is_requested_when_its_response_would_come_in_time(
    monkeypatch: pytest.MonkeyPatch, wait: float, requested_at: int
) -> None:
    """A body of a hundred bytes at two hundred bytes a second: requested as early as a response takes to begin."""
    now = [50.0 + wait]
    monkeypatch.setattr("airflow_s3_azure.engine.s3.ending.time.monotonic", lambda: now[0])
    requested: list[int] = []
    read = 0
    ending = Ending(50.0, 100, lambda: requested.append(read))

    while read < 100:
        read += 10
        now[0] += 0.05
        ending.add(10)

    assert requested == [requested_at]


def test_a_body_that_breaks_off_early_requests_nothing() -> None:
    """Before half of it is read, its throughput predicts nothing."""
    requested: list[None] = []
    ending = Ending(0.0, 100, lambda: requested.append(None))

    ending.add(49)

    assert requested == []
