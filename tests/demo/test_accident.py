"""The demo's accident: which process it kills, when, and what it clears."""

from __future__ import annotations

import signal
import subprocess
import threading
from collections.abc import Iterator
from typing import Any, cast

import pytest

from demo.accident import Accident

COPY = "s3_to_azure.copy"


class Airflow:
    """A fake of an Airflow with one copy, whose process is ``process``; records what is cleared."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self.cleared: list[dict[str, Any]] = []
        self.is_cleared = threading.Event()

    def task_instances(self, *_: str) -> list[dict[str, Any]]:
        """Return the copy, up for retry once its process has ended."""
        state = "running" if self._process.poll() is None else "up_for_retry"
        return [{"task_id": COPY, "map_index": 0, "state": state, "pid": self._process.pid}]

    def api(self, method: str, path: str, **values: Any) -> None:
        """Keep a request."""
        self.cleared.append({"method": method, "path": path, **values})
        self.is_cleared.set()


class Blob:
    """A fake of a blob with one staged block more at each request."""

    blob_name = "large"

    def __init__(self, most: int) -> None:
        self._counts = iter(range(most + 1))
        self._most = most
        self.is_complete = threading.Event()

    def get_block_list(self, _: str) -> tuple[list[object], list[object]]:
        """Return the committed and the staged blocks."""
        count = next(self._counts, self._most)
        if count == self._most:
            self.is_complete.set()
        return [], [object()] * count


@pytest.fixture
def process() -> Iterator[subprocess.Popen[bytes]]:
    """A process to kill."""
    with subprocess.Popen(["sleep", "600"]) as started:
        yield started
        started.kill()


def _accident(airflow: Airflow, blob: Blob, lines: list[str]) -> Accident:
    return Accident(
        airflow=cast("Any", airflow),
        dag_id="nightly",
        task_id=COPY,
        blob=cast("Any", blob),
        blocks=3,
        note=lines.append,
    )


def test_the_task_is_killed_once_enough_blocks_are_staged_and_then_cleared(process: subprocess.Popen[bytes]) -> None:
    """Clearing it, as the UI does, saves the minute until Airflow's own retry."""
    airflow, lines = Airflow(process), list[str]()
    accident = _accident(airflow, Blob(most=3), lines)

    accident.watch("manual")

    assert airflow.is_cleared.wait(30)
    accident.end()
    assert process.wait() == -signal.SIGKILL
    assert accident.staged == 3
    assert lines == ["Killed (SIGKILL): copy of large, 3 blocks staged"]
    (request,) = airflow.cleared
    assert request["path"] == "/dags/nightly/clearTaskInstances"
    assert (request["dag_run_id"], request["task_ids"]) == ("manual", [[COPY, 0]])


def test_a_copy_that_stages_too_little_is_left_alone(process: subprocess.Popen[bytes]) -> None:
    """A run that ends first is reported, and nothing is killed."""
    airflow, lines, blob = Airflow(process), list[str](), Blob(most=2)
    accident = _accident(airflow, blob, lines)

    accident.watch("manual")
    assert blob.is_complete.wait(30)
    accident.end()

    assert process.poll() is None
    assert (accident.staged, lines, airflow.cleared) == (0, [], [])
