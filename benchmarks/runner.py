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
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.clients import curl, rclone
from benchmarks.http_server import CPU
from benchmarks.job import Job
from benchmarks.measure import BLOCK, Cost, cpu_seconds
from benchmarks.stand_ins import StandIns
from tests.servers.debian import libraries

TIMEOUT = 900.0
"""Seconds that one copy may take."""
POLL = 0.02
"""Seconds between two checks that all processes are ready."""


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


def run(name: str, job: Job, servers: StandIns, scratch: Path, *, processes: int = 1) -> Run:
    """Copy a job with a client, and check that all of it arrived.

    :param job: without container; a new one is made
    :param servers: that count; the job's addresses may lead there by way of a slower link
    :param scratch: a folder on a disk, for a client's temporary files
    :param processes: that copy the job at the same time, each into a container of its own
    :raises BrokenRunError: if it did not copy everything
    """
    jobs = [replace(job, container=f"bench-{secrets.token_hex(6)}") for _ in range(processes)]
    containers = [one.container for each in jobs for one in (each, each.smallest())]
    for container in containers:
        servers.create_container(container)
    try:
        if name.startswith("rclone"):
            commands = [rclone.command(one, tuned=name == "rclone-tuned") for one in jobs]
            empty = [str(rclone.BINARY), "version"]
            cost = _run_programs(commands, empty, rclone.environment(jobs[0]), scratch, servers)
        elif name == "curl":
            cost = _run_curl(jobs, scratch, servers)
        else:
            cost = _run_python(name, jobs, scratch, servers)
        for one in jobs:
            found, expected = servers.totals(one.container), (job.objects, job.objects * job.size)
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


def _run_python(name: str, jobs: Sequence[Job], scratch: Path, servers: StandIns) -> Cost:
    """Run the client's processes. Each warms up, and waits until all have: then the servers restart their counters."""
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        start = Path(folder) / "start"
        running = []
        for number, job in enumerate(jobs):
            command = [sys.executable, "-m", "benchmarks.clients", name.replace("-", "_"), job.as_text()]
            environment = {
                "AIRFLOW_HOME": str(scratch / "airflow"),
                "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
                "AIRFLOW__LOGGING__LOGGING_LEVEL": "WARNING",
                "BENCHMARK_START": str(start),
                "BENCHMARK_READY": f"{start}-{number}",
                **servers.trust(),
                **replace(servers, source=job.source, sink=job.sink).airflow_connections(),
            }
            running.append(_Process(name, command, environment, scratch))
        while len(list(Path(folder).iterdir())) < len(jobs) and not any(one.has_ended for one in running):
            time.sleep(POLL)
        servers.reset_counts()
        start.touch()
        ended = _wait(running)
    return _together([Cost(**json.loads(output.splitlines()[-1])) for _, _, output in ended])


def _run_curl(jobs: Sequence[Job], scratch: Path, servers: StandIns) -> Cost:
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        commands = []
        for job in jobs:
            own = Path(folder) / job.container
            own.mkdir()
            commands += curl.commands(job, own)
        return _run_programs(commands, curl.empty_command(), libraries(), scratch, servers)


def _run_programs(
    commands: Sequence[list[str]], empty: list[str], environment: Mapping[str, str], scratch: Path, servers: StandIns
) -> Cost:
    """Run commands at the same time, and subtract the cost of as many that copy nothing, as the imports of the others are subtracted.

    :param empty: a command that copies nothing
    """

    def cost_of(commands: Sequence[list[str]]) -> Cost:
        servers.reset_counts()
        running = [_Process(Path(one[0]).name, one, {**environment, **servers.trust()}, scratch) for one in commands]
        ended = _wait(running)
        return _together(
            [
                Cost(cpu_seconds(used), seconds, used.ru_maxrss * 1024, used.ru_oublock * BLOCK)
                for used, seconds, _ in ended
            ]
        )

    cost_of([empty])  # reads the program from disk
    start, whole = cost_of([empty for _ in commands]), cost_of(commands)
    return Cost(
        cpu=whole.cpu - start.cpu,
        seconds=whole.seconds - start.seconds,
        memory=whole.memory - start.memory,
        written=whole.written,
    )


def _together(costs: Sequence[Cost]) -> Cost:
    """Return the cost of processes that ran at the same time."""
    return Cost(
        cpu=sum(one.cpu for one in costs),
        seconds=max(one.seconds for one in costs),
        memory=sum(one.memory for one in costs),
        written=sum(one.written for one in costs),
    )


class _Process:
    """A running command."""

    def __init__(self, name: str, command: list[str], environment: Mapping[str, str], scratch: Path) -> None:
        inherited = {key: os.environ[key] for key in ("PATH", "PYTHONPYCACHEPREFIX", "LANG") if key in os.environ}
        self._name = name
        self._output, self._errors = (tempfile.TemporaryFile() for _ in range(2))  # noqa: SIM115 - wait() closes both
        self._started = time.monotonic()
        self._process = subprocess.Popen(
            command,
            env={**inherited, "HOME": str(scratch), "TMPDIR": str(scratch), **environment},
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=self._errors,
        )
        self._timer = threading.Timer(TIMEOUT, self._process.kill)
        self._timer.start()

    @property
    def has_ended(self) -> bool:
        """Whether it has ended; :meth:`wait` still returns what it used."""
        return os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def wait(self) -> tuple[resource.struct_rusage, float, str]:
        """Wait for its end; return what it used, how long it took, and what it printed."""
        with self._output as output, self._errors as errors:
            _, status, used = os.wait4(self._process.pid, 0)
            seconds = time.monotonic() - self._started
            self._timer.cancel()
            self._process.returncode = os.waitstatus_to_exitcode(status)
            output.seek(0)
            errors.seek(0)
            if self._process.returncode:
                tail = errors.read()[-3000:].decode(errors="replace")
                raise BrokenRunError(
                    f"{self._name} ended with {self._process.returncode} after {seconds:.1f} s:\n{tail}"
                )
            return used, seconds, output.read().decode()


def _wait(running: Sequence[_Process]) -> list[tuple[resource.struct_rusage, float, str]]:
    """Wait for all processes; return what each used, how long it took, and what it printed.

    :raises BrokenRunError: if one failed; all have ended
    """
    ended, failed = [], []
    for one in running:
        try:
            ended.append(one.wait())
        except BrokenRunError as error:
            failed.append(error)
    if failed:
        raise failed[0]
    return ended


def _requests(counts: Mapping[str, int]) -> dict[str, int]:
    return {name: count for name, count in sorted(counts.items()) if not name.startswith(("bytes ", "ms "))}
