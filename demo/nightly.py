"""The nightly runs, from Airflow's API, and their ledgers, from the containers."""

from __future__ import annotations

import gzip
import json
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from azure.core.exceptions import AzureError, ResourceNotFoundError
from azure.storage.blob import ContainerClient

from demo.accident import Accident
from demo.screen import Bar, Progress, size_text
from demo.seed import PART_SIZE
from demo.verify import LEDGER_ROOT
from tests.servers import AirflowServer, AzureServer

DAG_ID = "s3_to_azure_nightly"
GROUP = "s3_to_azure"
PLAN, COPY, REPORT = (f"{GROUP}.{name}" for name in ("plan", "copy", "report"))

_POLL_SECONDS = 0.7
_COUNT_SECONDS = 4.0
"""Interval of the counts of the destination's blobs. Each costs Azurite some 50 ms of the copy's time."""
_OBJECT_COST = 64 * 1024
"""Bytes that take about as long as an object's requests, so that the bar advances evenly."""
_LOG_LINES = 25


class RunFailed(Exception):
    """A run failed; the message has the task, the end of its log and the folder of all logs."""


@dataclass(frozen=True, slots=True)
class Run:
    """One run of the DAG: from a bucket into the container of the same name."""

    bucket: str
    run_id: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a successful run.

    :param plan: the XCom of `plan`
    :param report: the XCom of `report`
    """

    run: Run
    seconds: float
    plan: dict[str, Any]
    report: dict[str, Any]

    @property
    def in_azure(self) -> int:
        """Objects that the run found or left in the container: what a killed try copied is unchanged for the next."""
        return int(self.report["copied"] + self.report["unchanged"])


class Destination:
    """Counts the objects and bytes that a container has received, including the staged blocks of large objects."""

    def __init__(self, azure: AzureServer, bucket: str, sizes: Mapping[str, int]) -> None:
        """Set what the container is to receive.

        :param sizes: bytes by key
        """
        # A count that fails is left out, so there is nothing to retry.
        self._container = azure.service_client(retry_total=0, read_timeout=10).get_container_client(bucket)
        self._sizes = dict(sizes)
        self._large = {key for key, size in sizes.items() if size > PART_SIZE}
        self.objects, self.size = 0, 0
        self.all_objects, self.all_size = len(self._sizes), sum(self._sizes.values())

    @property
    def share(self) -> float:
        """How much of the work is done, 0 to 1."""
        return (self.size + self.objects * _OBJECT_COST) / (self.all_size + self.all_objects * _OBJECT_COST)

    def count(self) -> None:
        """Count again; keeps the last numbers if Azure does not respond."""
        try:
            there = set(self._container.list_blob_names()) & self._sizes.keys()
            staged = sum(map(self._staged, self._large - there))
        except AzureError:
            return
        self.objects, self.size = len(there), sum(self._sizes[key] for key in there) + staged

    def _staged(self, key: str) -> int:
        try:
            _, blocks = self._container.get_blob_client(key).get_block_list("uncommitted")
        except ResourceNotFoundError:
            return 0
        return sum(block.size for block in blocks)


class Round:
    """The parallel runs of one round."""

    def __init__(
        self,
        airflow: AirflowServer,
        buckets: Sequence[str],
        destinations: Mapping[str, Destination] | None = None,
        accidents: Mapping[str, Accident] | None = None,
    ) -> None:
        """Trigger the runs.

        :param destinations: by bucket, to count what they receive; None: count nothing
        :param accidents: by bucket, copies to kill
        """
        self._airflow = airflow
        self._accidents = dict(accidents or {})
        self._destinations = destinations or {}
        self._tasks: dict[str, list[dict[str, Any]]] = {bucket: [] for bucket in buckets}
        self._ended: dict[str, dict[str, Any]] = {}
        self._retried: set[str] = set()
        self._runs = {
            bucket: Run(
                bucket,
                # With a logical date, as the UI triggers; no two runs may have the same.
                airflow.trigger(
                    DAG_ID, {"s3_bucket": bucket, "container_name": bucket, "create_container": True}, datetime.now(UTC)
                ),
            )
            for bucket in buckets
        }
        for bucket, accident in self._accidents.items():
            accident.watch(self._runs[bucket].run_id)

    def wait(self, within: float, check: Callable[[], None], note: Callable[[str], None]) -> list[Outcome]:
        """Return the outcomes, in the order of the buckets, once all runs have succeeded.

        :param check: called at each poll; raises if the run can no longer succeed
        :param note: called with messages for the user
        :raises RunFailed: if a run or two tries of a task failed, or if it takes longer than `within` seconds
        """
        deadline = time.monotonic() + within
        next_count = 0.0
        while len(self._ended) < len(self._runs):
            time.sleep(_POLL_SECONDS)
            check()
            for bucket, run in self._runs.items():
                if bucket not in self._ended:
                    self._poll(run)
                    self._report_retries(run, note)
            if self._destinations and time.monotonic() > next_count:
                for bucket, destination in self._destinations.items():
                    if any(_short(task) == "copy" and task["state"] == "running" for task in self._tasks[bucket]):
                        destination.count()
                next_count = time.monotonic() + _COUNT_SECONDS
            if time.monotonic() > deadline:
                slow = [run for bucket, run in self._runs.items() if bucket not in self._ended]
                raise RunFailed(f"still running after {within:.0f} s: {_failure(self._airflow, slow[0])}")
        return [self._outcome(run) for run in self._runs.values()]

    def progress(self) -> Progress:
        """Return the progress of the runs."""
        bars = [self._bar(bucket) for bucket in self._runs]
        tasks = [task for bucket in self._runs for task in self._tasks[bucket]]
        done = sum(task["state"] == "success" for task in tasks)
        text = f"{done} of {max(len(tasks), 3 * len(self._runs))} tasks done"
        if running := ", ".join(f"{count} {name}" for name, count in Counter(map(_short, _running(tasks))).items()):
            text += f", {running} running"
        if again := sum(task["state"] == "up_for_retry" for task in tasks):
            text += f", {again} up for retry"
        if counted := list(self._destinations.values()):
            objects, size = sum(one.objects for one in counted), sum(one.size for one in counted)
            text += f"; {objects:,} objects, {size_text(size)}"
        return Progress(text, bars)

    def _poll(self, run: Run) -> None:
        found = self._airflow.api("GET", f"/dags/{DAG_ID}/dagRuns/{run.run_id.replace('+', '%2B')}")
        self._tasks[run.bucket] = self._airflow.task_instances(DAG_ID, run.run_id)
        if found["state"] == "failed":
            raise RunFailed(f"the run of {run.bucket} failed: {_failure(self._airflow, run)}")
        if found["state"] == "success":
            if run.bucket in self._destinations:
                self._destinations[run.bucket].count()
            self._ended[run.bucket] = found

    def _report_retries(self, run: Run, note: Callable[[str], None]) -> None:
        for task in self._tasks[run.bucket]:
            accident = self._accidents.get(run.bucket)
            if task["state"] != "up_for_retry" or (accident and accident.task_id == task["task_id"]):
                continue
            if task["try_number"] > 1:
                raise RunFailed(f"a task of {run.bucket} failed twice: {_failure(self._airflow, run)}")
            if task["id"] not in self._retried:
                self._retried.add(task["id"])
                note(f"{run.bucket}: {_name(task)} failed; Airflow retries it in a minute")

    def _bar(self, bucket: str) -> Bar:
        tasks = self._tasks[bucket]
        copies = [task for task in tasks if _short(task) == "copy" and task["map_index"] >= 0]
        if bucket in self._ended:
            state = "done"
        elif any(task["state"] == "up_for_retry" for task in tasks):
            state = "up for retry"
        elif not copies or not all(task["state"] == "success" for task in copies):
            done = sum(task["state"] == "success" for task in copies)
            state = f"copy {done}/{len(copies)}" if copies else "plan"
        else:
            state = "report"
        counted = self._destinations.get(bucket)
        if counted is None:
            return Bar(bucket, state, None)
        numbers = (f"{counted.objects:,}/{counted.all_objects:,}", size_text(counted.size))
        return Bar(bucket, state, counted.share, numbers)

    def _outcome(self, run: Run) -> Outcome:
        ended = self._ended[run.bucket]
        seconds = (
            datetime.fromisoformat(ended["end_date"]) - datetime.fromisoformat(ended["start_date"])
        ).total_seconds()
        plan = self._airflow.xcom(DAG_ID, run.run_id, PLAN, key="plan")
        return Outcome(run, seconds, plan, self._airflow.xcom(DAG_ID, run.run_id, REPORT))


def read_ledger(container: ContainerClient, url: str) -> list[dict[str, Any]]:
    """Return the rows of a ledger, given the URL that the report names."""
    folder = url.removeprefix(f"{container.url}/")
    assert folder.startswith(LEDGER_ROOT), url
    rows = []
    for blob in container.list_blobs(name_starts_with=folder):
        text = gzip.decompress(container.download_blob(blob.name).readall()).decode()
        rows += [json.loads(line) for line in text.split("\n") if line]
    return rows


def _running(tasks: Collection[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    return (task for task in tasks if task["state"] == "running")


def _short(task: Mapping[str, Any]) -> str:
    return str(task["task_id"]).rpartition(".")[2]


def _name(task: Mapping[str, Any]) -> str:
    return str(task["task_id"]) + (f"[{task['map_index']}]" if task["map_index"] >= 0 else "")


def _failure(airflow: AirflowServer, run: Run) -> str:
    """Name the task that stopped a run, with the end of its log and the folder of all logs."""
    where = Path(airflow.home) / "logs" / f"dag_id={DAG_ID}" / f"run_id={run.run_id}"
    tasks = airflow.task_instances(DAG_ID, run.run_id)
    for state in ("failed", "up_for_retry", "running", "queued"):
        # The report fails because of a batch: the batch's log has the cause.
        for task in sorted(tasks, key=lambda task: (task["task_id"] == REPORT, task["map_index"])):
            if task["state"] != state:
                continue
            tries = task["try_number"]
            log = airflow.logs(DAG_ID, run.run_id, task["task_id"], tries, task["map_index"]) if tries else ""
            lines = [text for line in log.splitlines() if "group::" not in (text := _log_line(line))][-_LOG_LINES:]
            return (
                f"task {_name(task)} is {state}\nend of the log of try {tries}:\n"
                + "".join(f"  {line}\n" for line in lines)
                + f"logs of the run: {where}"
            )
    return f"no task has an error\nlogs of the run: {where}"


def _log_line(line: str) -> str:
    event = json.loads(line)
    if not isinstance(event, dict):
        return str(event)
    text = f"{str(event.get('timestamp', ''))[11:19]} {event.get('level', '')} {event.get('event', '')}".strip()
    for error in event.get("error_detail") or ():
        text += f"\n    {error.get('exc_type')}: {error.get('exc_value')}".replace("\n", "\n  ")
    return text
