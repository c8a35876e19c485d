"""Running one client on one job in a process of its own, and saying what that cost, by its word and the servers'."""

from __future__ import annotations

import json
import os
import resource
import secrets
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.clients import rclone
from benchmarks.http_server import CPU
from benchmarks.job import Job
from benchmarks.measure import BLOCK, Cost, cpu_seconds
from benchmarks.stand_ins import StandIns

TIMEOUT = 900.0
"""Seconds that one copy may take."""


class BrokenRunError(Exception):
    """A client failed, or did not copy what it should."""


@dataclass(frozen=True, slots=True)
class Run:
    """One copy by one client.

    :param reads: requests to S3, by kind
    :param writes: requests to Azure, by kind
    :param bytes_read: of objects, that S3 sent
    :param servers_cpu: seconds that each of the two stand-ins took, to show that they were not the limit
    """

    cost: Cost
    reads: Mapping[str, int]
    writes: Mapping[str, int]
    bytes_read: int
    servers_cpu: tuple[float, float]

    def as_json(self) -> dict[str, Any]:
        """Return it for the file of results."""
        return asdict(self)


def run(name: str, job: Job, servers: StandIns, scratch: Path) -> Run:
    """Copy a job with a client, and check that all of it arrived.

    :param job: without container; a new one is made
    :param servers: that count; the job's addresses may lead there by way of a slower link
    :param scratch: a folder on a disk, for a client's temporary files
    :raises BrokenRunError: if it did not copy everything
    """
    job = replace(job, container=f"bench-{secrets.token_hex(6)}")
    containers = [job.container, job.smallest().container]
    for container in containers:
        servers.create_container(container)
    try:
        if name.startswith("rclone"):
            cost = _run_rclone(job, scratch, servers, tuned=name == "rclone-tuned")
        else:
            cost = _run_python(name, job, scratch, servers)
        found, expected = servers.totals(job.container), (job.objects, job.objects * job.size)
        if found != expected:
            raise BrokenRunError(f"{name}: (blobs, bytes) should be {expected} and are {found}")
        reads, writes = servers.counts()
    finally:
        for container in containers:
            servers.delete_container(container)
    return Run(
        cost,
        _requests(reads),
        _requests(writes),
        bytes_read=reads.get("bytes out", 0),
        servers_cpu=(reads[CPU] / 1000, writes[CPU] / 1000),
    )


def _run_python(name: str, job: Job, scratch: Path, servers: StandIns) -> Cost:
    command = [sys.executable, "-m", "benchmarks.clients", name.replace("-", "_"), job.as_text()]
    environment = {
        "AIRFLOW_HOME": str(scratch / "airflow"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "WARNING",
        # The warm-up and the measured copy share the process; the servers restart their counters in between.
        "BENCHMARK_COUNTS": json.dumps([servers.source, servers.sink, servers.bundle]),
        **servers.trust(),
        **replace(servers, source=job.source, sink=job.sink).airflow_connections(),
    }
    _, _, output = _wait(name, command, environment, scratch)
    return Cost(**json.loads(output.splitlines()[-1]))


def _run_rclone(job: Job, scratch: Path, servers: StandIns, *, tuned: bool) -> Cost:
    """Run rclone, and subtract the cost of a process that copies nothing, as the imports of the others are subtracted."""
    costs = []
    for command in ([str(rclone.BINARY), "version"], rclone.command(job, tuned=tuned)):
        servers.reset_counts()
        used, seconds, _ = _wait("rclone", command, rclone.environment(job) | servers.trust(), scratch)
        costs.append(Cost(cpu_seconds(used), seconds, used.ru_maxrss * 1024, used.ru_oublock * BLOCK))
    start, whole = costs
    return Cost(
        cpu=whole.cpu - start.cpu,
        seconds=whole.seconds - start.seconds,
        memory=whole.memory - start.memory,
        written=whole.written,
    )


def _wait(
    name: str, command: list[str], environment: Mapping[str, str], scratch: Path
) -> tuple[resource.struct_rusage, float, str]:
    """Run a command to its end; return what it used, how long it took, and what it printed."""
    import time

    inherited = {key: os.environ[key] for key in ("PATH", "PYTHONPYCACHEPREFIX", "LANG") if key in os.environ}
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        started = time.monotonic()
        process = subprocess.Popen(
            command,
            env={**inherited, "HOME": str(scratch), "TMPDIR": str(scratch), **environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=errors,
        )
        timer = threading.Timer(TIMEOUT, process.kill)
        timer.start()
        _, status, used = os.wait4(process.pid, 0)
        seconds = time.monotonic() - started
        timer.cancel()
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        errors.seek(0)
        if process.returncode:
            tail = errors.read()[-3000:].decode(errors="replace")
            raise BrokenRunError(f"{name} ended with {process.returncode} after {seconds:.1f} s:\n{tail}")
        return used, seconds, output.read().decode()


def _requests(counts: Mapping[str, int]) -> dict[str, int]:
    return {name: count for name, count in sorted(counts.items()) if not name.startswith(("bytes ", "ms "))}
