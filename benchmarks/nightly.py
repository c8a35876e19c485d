"""What a quiet night costs: whole runs of a DAG on a started Airflow, beside `rclone copy` in a BashOperator.

`python -m benchmarks.nightly` starts PostgreSQL, an Airflow with the LocalExecutor, and the stand-ins of both services. The
container holds a copy of each of 100,000 objects, or of all but ten. Interleaved, each round runs: a sync of each (plan, copy,
report), `rclone copy` of each, a sync of one unchanged object, three empty tasks, and two tasks that only make the clients of the
plan and of the report. The CPU is that of everything below the
scheduler: supervisors, task processes, and rclone; of the scheduler itself, the API server and the database nothing counts.
Linux only; `make bench-nightly` installs what it needs.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import psutil

from airflow_s3_azure.engine.properties import CopyIdentity, SourceRecord
from benchmarks.bench import DOCUMENT
from benchmarks.clients import rclone
from benchmarks.job import Job
from benchmarks.report import fill as fill_page
from benchmarks.results import Spread
from benchmarks.runner import BrokenRunError
from benchmarks.source import bucket_name, describe, key_name
from benchmarks.stand_ins import StandIns, stand_ins
from tests.servers.airflow import AirflowServer
from tests.servers.postgres import PostgresServer

KEYS, NEW = 100_000, 10
SIZE = 1024
"""Bytes of each object."""
ROUNDS = 3
MAX_OVERHEAD = 1.3
"""CPU of a sync of one unchanged object, of that of three empty tasks."""
_RCLONE = Path(".tools/bench/bin/rclone").resolve()
_TIMEOUT = 280.0
_EMPTY, _ONE = "three empty tasks", "sync, 1 key"
_CLIENTS = "two tasks with clients alone"
_SYNC = """
from airflow.sdk import DAG
from airflow_s3_azure.sync_group import s3_to_azure_sync

with DAG({dag_id!r}):
    s3_to_azure_sync(s3_bucket={bucket!r}, container_name={container!r}, retries=0)
"""
_BASH = """
from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG

with DAG({dag_id!r}):
    BashOperator(task_id="copy", bash_command={command!r}, env={environment!r}, append_env=True)
"""
_THREE = """
from airflow.providers.standard.operators.python import PythonOperator
from airflow.sdk import DAG

def nothing():
    pass

with DAG({dag_id!r}):
    tasks = [PythonOperator(task_id=name, python_callable=nothing) for name in ("plan", "copy", "report")]
    tasks[0] >> tasks[1] >> tasks[2]
"""


_TWO = """
from airflow.providers.standard.operators.python import PythonOperator
from airflow.sdk import DAG

def clients(with_s3):
    from airflow.providers.amazon.aws.hooks.s3 import S3Hook
    from airflow.providers.microsoft.azure.hooks.wasb import WasbHook

    if with_s3:
        S3Hook().get_conn()
    WasbHook().get_conn()

with DAG({dag_id!r}):
    plan, report = (
        PythonOperator(task_id=name, python_callable=clients, op_args=[with_s3])
        for name, with_s3 in (("plan", True), ("report", False))
    )
    plan >> report
"""


@dataclass(frozen=True, slots=True)
class Night:
    """What one run took.

    :param cpu: seconds of task processes and their supervisors
    :param seconds: from the run's start to its end, as Airflow has it
    :param requests: to S3 and to Azure
    """

    cpu: float
    seconds: float
    requests: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Kind:
    """A DAG that is run again and again.

    :param prepare: called before each run
    """

    title: str
    dag_id: str
    text: str
    prepare: Callable[[], None]


def main() -> int:
    """Measure and print; return 1 if the bound does not hold."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.nightly", description="Quiet nights.")
    parser.add_argument("--keys", type=int, default=KEYS)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--write", action="store_true", help=f"put the table into {DOCUMENT}")
    given = parser.parse_args()
    nights: dict[str, list[Night]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as scratch, stand_ins() as servers:
        directory = Path(scratch)
        dags = directory / "dags"
        dags.mkdir()
        kinds = _kinds(servers, given.keys)
        for kind in kinds:
            (dags / f"{kind.dag_id}.py").write_text(kind.text)
        fill(servers, "night", given.keys, range(given.keys))
        fill(servers, "one", 1, range(1))
        with PostgresServer(directory) as database:
            config = {
                "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"postgresql+psycopg2://{database.address}",
                **servers.airflow_connections(),
            }
            with AirflowServer(directory, dags, {}, config, deferrable=False) as airflow:
                for kind in kinds:
                    airflow.wait_for_dag(kind.dag_id)
                    airflow.unpause(kind.dag_id)
                for number in range(given.rounds + 1):
                    for kind in kinds:
                        night = _run(airflow, servers, kind)
                        if number:  # the first round warms up bytecode and workers
                            nights[kind.title].append(night)
                            sys.stdout.write(f"{_line(kind.title, [night])}\n")
    if given.write:
        DOCUMENT.write_text(fill_page(DOCUMENT.read_text(), {"nights": "\n".join(_table(nights))}))
    return _report(nights)


def _kinds(servers: StandIns, keys: int) -> list[Kind]:
    bucket = bucket_name(keys, SIZE)
    job = Job(servers.source, servers.sink, "night", keys, SIZE)
    copy = [str(_RCLONE), "copy", f"s3:{bucket}", "azure:night", "--fast-list", "--update", "--use-server-modtime"]
    command = " ".join([*copy, "--azureblob-no-check-container"])

    def restore() -> None:
        fill(servers, "night", keys, range(NEW))

    def remove() -> None:
        for number in range(NEW):
            _request(servers, "DELETE", f"night/{key_name(number)}")

    kinds = [
        Kind(_EMPTY, "empty", _THREE.format(dag_id="empty"), lambda: None),
        Kind(_CLIENTS, "clients", _TWO.format(dag_id="clients"), lambda: None),
        Kind(_ONE, "one", _SYNC.format(dag_id="one", bucket=bucket_name(1, SIZE), container="one"), lambda: None),
    ]
    for new, prepare in ((0, restore), (NEW, remove)):
        ours, theirs = f"sync_{new}", f"rclone_{new}"
        text = _SYNC.format(dag_id=ours, bucket=bucket, container="night")
        kinds.append(Kind(f"sync, {new} of {keys:,} new", ours, text, prepare))
        if _RCLONE.exists():
            text = _BASH.format(dag_id=theirs, command=command, environment=rclone.environment(job))
            kinds.append(Kind(f"rclone, {new} of {keys:,} new", theirs, text, prepare))
    return kinds


def fill(servers: StandIns, container: str, keys: int, numbers: range) -> None:
    """Put unchanged copies of some objects of a bucket into a container, which is created if they are all."""
    if len(numbers) == keys:
        servers.create_container(container)
    bucket, known = bucket_name(keys, SIZE), describe(SIZE)
    url = urlsplit(servers.sink)
    connection = http.client.HTTPConnection(url.netloc)
    body = bytes(SIZE)
    for number in numbers:
        key = key_name(number)
        record = SourceRecord(
            known.etag.strip('"'),
            SIZE,
            last_modified=datetime(2026, 1, 1, tzinfo=UTC),
            checksum=f"CRC64NVME:{known.crc64}",
            identity=str(CopyIdentity(bucket, key, key)),
            crc64nvme=known.crc64,
        )
        headers = {f"x-ms-meta-{name}": value for name, value in record.as_metadata().items()}
        connection.request("PUT", f"{url.path}/{container}/{key}", body, {"x-ms-blob-type": "BlockBlob", **headers})
        response = connection.getresponse()
        response.read()
        if response.status != http.client.CREATED:
            raise BrokenRunError(f"{key} could not be put: {response.status}")
    connection.close()


def listing(servers: StandIns, container: str) -> bytes:
    """Return the first page of a container's listing."""
    return _request(servers, "GET", f"{container}?restype=container&comp=list&include=metadata")


def _request(servers: StandIns, method: str, path: str) -> bytes:
    url = urlsplit(servers.sink)
    connection = http.client.HTTPConnection(url.netloc)
    connection.request(method, f"{url.path}/{path}")
    body = connection.getresponse().read()
    connection.close()
    return body


def _run(airflow: AirflowServer, servers: StandIns, kind: Kind) -> Night:
    """Run a DAG once, and return what it took."""
    kind.prepare()
    scheduler = _scheduler(airflow)
    servers.reset_counts()
    before = _cpu_below(scheduler)
    run = airflow.trigger(kind.dag_id)
    state = airflow.wait_for_run(kind.dag_id, run, _TIMEOUT)
    if state != "success":
        tasks = [one for one in airflow.task_instances(kind.dag_id, run) if one["state"] == "failed"]
        logs = [airflow.logs(kind.dag_id, run, one["task_id"], one["try_number"], one["map_index"]) for one in tasks]
        raise BrokenRunError("\n".join([f"{kind.title}: {state}", *logs]))
    time.sleep(1.0)  # the supervisor of the last task ends
    cpu = _cpu_below(scheduler) - before
    found = airflow.api("GET", f"/dags/{kind.dag_id}/dagRuns/{run}")
    seconds = (datetime.fromisoformat(found["end_date"]) - datetime.fromisoformat(found["start_date"])).total_seconds()
    to_source, to_sink = (_requests(one) for one in servers.counts())
    return Night(cpu, seconds, (to_source, to_sink))


def _requests(counts: Mapping[str, int]) -> int:
    return sum(count for name, count in counts.items() if name not in ("bytes in", "bytes out", "ms cpu"))


def _scheduler(airflow: AirflowServer) -> psutil.Process:
    """Return the scheduler's process, whose children run the tasks."""
    parts = psutil.Process(airflow.process.pid).children()
    return next(one for one in parts if "scheduler" in " ".join(one.cmdline()))


def _cpu_below(process: psutil.Process) -> float:
    """Return the CPU seconds of all processes that a process started, those that have ended included."""
    used = process.cpu_times()
    total = used.children_user + used.children_system
    for one in process.children(recursive=True):
        try:
            used = one.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += used.user + used.system + used.children_user + used.children_system
    return total


def _line(title: str, nights: list[Night]) -> str:
    cpu, seconds = (statistics.median(getattr(one, name) for one in nights) for name in ("cpu", "seconds"))
    to_source, to_sink = nights[-1].requests
    return f"{title:<28}  {cpu:>8.2f} CPU s  {seconds:>8.2f} s  {to_source:>6,} + {to_sink:>6,} requests"


def _table(nights: Mapping[str, list[Night]]) -> Iterator[str]:
    """Yield the lines of the page's table, and the load of the machine."""
    yield "| run | CPU s | × empty | seconds | requests S3 + Azure |"
    yield "|---|---|---|---|---|"
    empty = statistics.median(one.cpu for one in nights[_EMPTY])
    for title, found in nights.items():
        cpu = Spread.of([one.cpu for one in found])
        seconds = statistics.median(one.seconds for one in found)
        to_source, to_sink = found[-1].requests
        yield (
            f"| {title} | {cpu.median:.2f} ({cpu.low:.2f}–{cpu.high:.2f}) | {cpu.median / empty:.2f} | {seconds:.1f} | "
            f"{to_source:,} + {to_sink:,} |"
        )
    yield f"\nMeasured {datetime.now(UTC):%Y-%m-%d}, {len(nights[_EMPTY])} rounds; load average at the end {os.getloadavg()[0]:.1f}."


def _report(nights: Mapping[str, list[Night]]) -> int:
    sys.stdout.write("\nmedians:\n")
    for title, found in nights.items():
        sys.stdout.write(f"{_line(title, found)}\n")
    empty, one = (statistics.median(night.cpu for night in nights[title]) for title in (_EMPTY, _ONE))
    sys.stdout.write(f"a sync of one unchanged key: {one / empty:.2f} x three empty tasks; wanted: {MAX_OVERHEAD:g}\n")
    sys.stdout.write(
        f"{json.dumps({title: [(n.cpu, n.seconds, n.requests) for n in found] for title, found in nights.items()})}\n"
    )
    return 0 if one / empty <= MAX_OVERHEAD else 1


if __name__ == "__main__":
    sys.exit(main())
