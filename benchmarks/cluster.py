"""How much faster two workers copy than one: a sync on a CeleryExecutor, behind a link that limits each connection.

`python -m benchmarks.cluster` starts a cluster (PostgreSQL, Redis, an Airflow part by part, two Celery workers of two
tasks each) and runs the same sync with one worker, then with both. What a machine's cores can do is not what limits it:
each connection brings so few bytes that both workers together need a fraction of a core. The time counts from the
start of the first copy task to the end of the last, all that Airflow does in between included. It ends with 1 if two
workers copy less than 1.8 times as fast as one. Linux only; `make bench-cluster` installs what it needs.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from benchmarks.link import Link, linked, prove
from benchmarks.runner import BrokenRunError
from benchmarks.source import MIB, bucket_name
from benchmarks.stand_ins import StandIns, stand_ins
from tests.servers.cluster import AirflowCluster

BATCHES = 8
BATCH_OBJECTS = 8
SIZE = 40 * MIB
"""Bytes of each object."""
ROUND_TRIP = 0.02
RATE = 1_000_000
"""Bytes per second of each connection; a copy task has eight."""
MIN_RATIO = 1.8
_COPY = "s3_to_azure.copy"
_TIMEOUT = 1800.0
_DAG = """
from airflow.sdk import DAG
from airflow_s3_azure.sync_group import s3_to_azure_sync

with DAG({dag_id!r}):
    s3_to_azure_sync(
        s3_bucket={bucket!r}, container_name={dag_id!r}, batch_objects={objects}, batch_size=2**50, retries=0
    )
"""


@dataclass(frozen=True, slots=True)
class Copied:
    """What became of one sync.

    :param size: bytes
    :param seconds: from the start of the first copy task to the end of the last
    :param tasks: how many each worker ran
    """

    size: int
    seconds: float
    tasks: Counter[str]

    @property
    def rate(self) -> float:
        """MiB per second."""
        return self.size / MIB / self.seconds

    def describe(self) -> str:
        """Return it as one line."""
        shares = ", ".join(f"{name} {count}" for name, count in sorted(self.tasks.items()))
        return f"{self.size / MIB:,.0f} MiB in {self.seconds:.0f} s: {self.rate:.1f} MiB/s (tasks: {shares})"


def main() -> int:
    """Measure and print; return 1 if the bound does not hold."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cluster", description="Two workers against one.")
    parser.add_argument("--batches", type=int, default=BATCHES)
    given = parser.parse_args()
    link = Link(ROUND_TRIP, RATE)
    with (
        tempfile.TemporaryDirectory() as scratch,
        stand_ins() as near,
        linked(near, link, Link(ROUND_TRIP)) as far,
    ):
        sys.stdout.write(f"link: {prove(far.source, link, size=2 * RATE).describe()}\n")
        directory = Path(scratch)
        dags = directory / "dags"
        dags.mkdir()
        with AirflowCluster(directory, dags, {}, far.airflow_connections()) as cluster:
            cluster.workers["worker-2"].stop()
            one = _sync(cluster, near, "one", given.batches)
            sys.stdout.write(f"one worker: {one.describe()}\n")
            cluster.start_part("worker-2")
            two = _sync(cluster, near, "two", given.batches)
            sys.stdout.write(f"two workers: {two.describe()}\n")
    ratio = two.rate / one.rate
    holds = ratio >= MIN_RATIO and two.tasks.keys() == {"worker-1", "worker-2"}
    sys.stdout.write(f"two workers copy {ratio:.2f} times as fast as one; wanted: {MIN_RATIO:g}\n")
    return 0 if holds else 1


def _sync(cluster: AirflowCluster, servers: StandIns, name: str, batches: int) -> Copied:
    """Run a sync into a container of this name and return what became of it."""
    objects = batches * BATCH_OBJECTS
    # One more than the objects of a batch: their bytes, however few, count too.
    text = _DAG.format(dag_id=name, bucket=bucket_name(objects, SIZE), objects=BATCH_OBJECTS + 1)
    servers.create_container(name)
    (cluster.dags_folder / f"{name}.py").write_text(text)
    cluster.wait_for_dag(name)
    cluster.unpause(name)
    run = cluster.trigger(name)
    state = cluster.wait_for_run(name, run, _TIMEOUT)
    every = cluster.task_instances(name, run)
    tasks = [one for one in every if one["task_id"] == _COPY]
    if state != "success" or servers.totals(name) != (objects, objects * SIZE):
        failed = (one for one in every if one["state"] == "failed")
        logs = (cluster.logs(name, run, one["task_id"], one["try_number"], one["map_index"]) for one in failed)
        found = servers.totals(name)
        raise BrokenRunError("\n".join([f"the sync ended as {state}; the container holds {found}", *logs]))
    started = min(datetime.fromisoformat(one["start_date"]) for one in tasks)
    ended = max(datetime.fromisoformat(one["end_date"]) for one in tasks)
    return Copied(objects * SIZE, (ended - started).total_seconds(), Counter(one["hostname"] for one in tasks))


if __name__ == "__main__":
    sys.exit(main())
