"""What a task did, counted in Airflow's own metrics: StatsD, Datadog or OpenTelemetry, whichever Airflow is set up for.

All names begin with ``s3_to_azure.``; the tags are those of Airflow's own metrics of a task (``dag_id``, ``task_id``).
Where Airflow has no metrics switched on, nothing is sent.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from datetime import timedelta
from types import TracebackType
from typing import Any, Self

from airflow_s3_azure.engine.model import CopyResult

PREFIX = "s3_to_azure"


class CopyMetrics:
    """Counts what is copied while its context lasts, and sends it at the end, also of a task that fails or is killed.

    Each execution of a task counts what it did itself: what an earlier one settled is not counted again.

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
        """Count what became of one object."""
        self._counts.update(counts_of(result))


def counts_of(result: CopyResult) -> dict[str, int]:
    """Return what one object adds to the counters, by their names without the prefix."""
    return {
        f"objects.{result.status}": 1,
        "bytes.read": result.bytes_read,
        "bytes.copied": (result.size or 0) if result.status == "copied" else 0,
        "retries": result.retries,
    }


def send_counts(ti: Any, counts: Mapping[str, int]) -> None:
    """Add to Airflow's counters; what is zero is left out.

    :param counts: by name, without the prefix
    """
    for name, count in counts.items():
        if count:
            _stats().incr(f"{PREFIX}.{name}", count, tags=_tags(ti))


def _stats() -> Any:
    from airflow.sdk.observability.stats import Stats

    return Stats


def _tags(ti: Any) -> dict[str, str]:
    # Airflow 3.3 knows the team as well.
    return dict(getattr(ti, "stats_tags", None) or {"dag_id": ti.dag_id, "task_id": ti.task_id})
