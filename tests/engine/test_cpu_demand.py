"""The CPU that this process asks for includes what its threads wait for a core."""

from __future__ import annotations

import time
from pathlib import Path

from airflow_s3_azure.engine.cpu_demand import core_wait, cpu_demand


def test_the_waits_of_all_threads_count(tmp_path: Path) -> None:
    """In nanoseconds, after what a thread used; a thread that ended meanwhile has no file."""
    for thread, text in {"1": "500 1500000000 7\n", "2": "0 250000000 1\n", "3": ""}.items():
        (tmp_path / thread).mkdir()
        (tmp_path / thread / "schedstat").write_text(text)
    (tmp_path / "4").mkdir()

    assert core_wait(str(tmp_path)) == 1.75


def test_a_system_that_does_not_count_waits_shows_none(tmp_path: Path) -> None:
    """As macOS, or Linux without schedstat."""
    assert core_wait(str(tmp_path / "missing")) == 0.0


def test_the_cpu_time_of_this_process_counts() -> None:
    """All that it used before."""
    used = time.process_time()

    assert cpu_demand() >= used
