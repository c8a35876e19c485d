"""What is counted of a copy, and when it is sent."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_s3_azure.engine.errors import TransferError
from airflow_s3_azure.engine.model import CopyResult
from airflow_s3_azure.metrics import CopyMetrics, send_freshness

TI = SimpleNamespace(dag_id="dag", task_id="group.copy")
TAGS = {"dag_id": "dag", "task_id": "group.copy"}


class Sent:
    """Stands in for Airflow's ``Stats``, and keeps what it is sent."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.times: list[tuple[str, timedelta]] = []
        self.gauges: dict[str, float] = {}
        self.tags: list[dict[str, str]] = []

    def incr(self, stat: str, count: int = 1, *, tags: dict[str, str]) -> None:
        """Keep a count."""
        self.counts[stat] += count
        self.tags.append(tags)

    def gauge(self, stat: str, value: float, *, tags: dict[str, str]) -> None:
        """Keep a gauge."""
        self.gauges[stat] = value
        self.tags.append(tags)

    def timing(self, stat: str, dt: timedelta, *, tags: dict[str, str]) -> None:
        """Keep a time."""
        self.times.append((stat, dt))
        self.tags.append(tags)


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> Sent:
    """What was sent."""
    found = Sent()
    monkeypatch.setattr("airflow.sdk.observability.stats.Stats", found)
    return found


def test_results_are_added_up_and_sent_once(sent: Sent) -> None:
    """Objects by what became of them, bytes, retries; what is zero is left out."""
    with CopyMetrics(TI) as metrics:
        metrics.add(CopyResult("a", "a", "copied", size=10, bytes_read=15, retries=2))
        metrics.add(CopyResult("b", "b", "copied", size=5, bytes_read=5))
        metrics.add(CopyResult("c", "c", "failed", size=9, bytes_read=3, retries=5, error=TransferError("no")))
        assert not sent.counts

    assert sent.counts == {
        "s3_to_azure.objects.copied": 2,
        "s3_to_azure.objects.failed": 1,
        "s3_to_azure.bytes.copied": 15,
        "s3_to_azure.bytes.read": 23,
        "s3_to_azure.retries": 7,
    }
    ((name, duration),) = sent.times
    assert (name, duration > timedelta(0)) == ("s3_to_azure.copy.duration", True)
    assert [dict(one) for one in sent.tags] == [TAGS] * 6


def test_a_task_that_is_killed_sends_what_it_did_until_then(sent: Sent) -> None:
    """Airflow ends a task with an exception of the kind that no `except Exception` sees."""

    def copy() -> None:
        with CopyMetrics(TI) as metrics:
            metrics.add(CopyResult("a", "a", "copied", size=10))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        copy()

    assert sent.counts == {"s3_to_azure.objects.copied": 1, "s3_to_azure.bytes.copied": 10}


def test_the_tags_are_airflow_s_own_where_it_has_them(sent: Sent) -> None:
    """Airflow 3.3 adds the team."""
    ti: Any = SimpleNamespace(dag_id="dag", task_id="t", stats_tags={"dag_id": "dag", "task_id": "t", "team_name": "x"})

    with CopyMetrics(ti):
        pass

    assert sent.tags == [ti.stats_tags]


@pytest.mark.parametrize(
    ("interval_end", "until"),
    [
        (None, "2026-11-28T00:05:00Z"),
        (datetime(2026, 11, 28, tzinfo=UTC), "2026-11-28T00:00:00Z"),
        (datetime(2026, 11, 29, tzinfo=UTC), "2026-11-28T00:05:00Z"),
    ],
)
def test_a_copy_is_complete_until_its_plan_began(sent: Sent, interval_end: datetime | None, until: str) -> None:
    """Or until the end of its data interval, if that is earlier."""
    send_freshness(TI, datetime(2026, 11, 28, 0, 5, tzinfo=UTC), interval_end)

    assert sent.gauges == {"s3_to_azure.fresh_until": datetime.fromisoformat(until).timestamp()}
    assert sent.tags == [TAGS]
