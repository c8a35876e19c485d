"""Counters of copies in Airflow's metrics: StatsD, Datadog or OpenTelemetry, as Airflow is configured.

All names begin with ``s3_to_azure.``; the tags are those of Airflow's own task metrics (``dag_id``, ``task_id``). Without
metrics in Airflow nothing is sent.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Self

from airflow_s3_azure.engine.model import CopyResult

PREFIX = "s3_to_azure"


class CopyMetrics:
    """Counts results within its context, and sends the counts at its end, also if the task fails or is killed.

    Each execution of a task counts only its own results, not those of earlier executions.

    :param ti: the task instance
    """

    def __init__(self, ti: Any) -> None:
        self._ti = ti
        self._counts: Counter[str] = Counter()
        self._started = time.monotonic()

    def __enter__(self) -> Self:
        self._started = time.monotonic()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        send_counts(self._ti, self._counts)
        _stats().timing(
            f"{PREFIX}.copy.duration", timedelta(seconds=time.monotonic() - self._started), tags=_tags(self._ti)
        )

    def add(self, result: CopyResult) -> None:
        """Count the result of one object."""
        self._counts.update(counts_of(result))


def counts_of(result: CopyResult) -> dict[str, int]:
    """Return the increments of one result by counter name, without the prefix."""
    return {
        f"objects.{result.status}": 1,
        "bytes.read": result.bytes_read,
        "bytes.copied": (result.size or 0) if result.status == "copied" else 0,
        "retries": result.retries,
    }


def send_counts(ti: Any, counts: Mapping[str, int]) -> None:
    """Add to Airflow's counters; zeros are not sent.

    :param counts: by name, without the prefix
    """
    for name, count in counts.items():
        if count:
            _stats().incr(f"{PREFIX}.{name}", count, tags=_tags(ti))


def send_freshness(ti: Any, started: datetime, interval_end: datetime | None) -> None:
    """Set the gauge of a sync's freshness: until when its copy is complete, in seconds since 1970.

    :param started: when the plan of a good run began: what its listing left out came later
    :param interval_end: of the run's data interval; None: it has none
    """
    until = started if interval_end is None else min(started, interval_end)
    _stats().gauge(f"{PREFIX}.fresh_until", round(until.timestamp()), tags=_tags(ti))


def _stats() -> Any:
    from airflow.sdk.observability.stats import Stats

    return Stats


def _tags(ti: Any) -> dict[str, str]:
    # Airflow 3.3 adds the team.
    return dict(getattr(ti, "stats_tags", None) or {"dag_id": ti.dag_id, "task_id": ti.task_id})
