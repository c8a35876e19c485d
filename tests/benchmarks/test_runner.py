"""Running clients and tasks: their copies arrive, their costs are reported, and failures are detected."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import trustme

from benchmarks.clients.rclone import BINARY
from benchmarks.job import Job
from benchmarks.runner import BrokenRunError, run
from benchmarks.stand_ins import StandIns, stand_ins
from benchmarks.task import run_task
from tests.servers.debian import is_there

pytestmark = pytest.mark.servers

MIB = 1024 * 1024


@pytest.fixture(scope="module")
def servers() -> Iterator[StandIns]:
    """Both stand-ins; the sink checks CRCs."""
    with stand_ins(check=True) as started:
        yield started


@pytest.fixture(scope="module")
def secure() -> Iterator[StandIns]:
    """Both stand-ins over TLS."""
    with stand_ins(tls=True) as started:
        yield started


NEEDS_CURL = pytest.mark.skipif(not is_there("curl"), reason="needs curl: run `python3 -m tests.servers.debian curl`")
CURL = pytest.param("curl", marks=NEEDS_CURL)


@pytest.fixture
def job(servers: StandIns) -> Job:
    """Three objects of three blocks and a bit."""
    return Job(servers.source, servers.sink, "", 3, 3 * MIB + 5, connections=2, block_size=MIB)


@pytest.mark.parametrize("client", ["ours", "ours-batch", "script", "sdk", "stock", "floor", CURL])
def test_a_client_copies_its_job(client: str, job: Job, servers: StandIns, tmp_path: Path) -> None:
    """For each client: everything arrives, is read once, and has a cost."""
    found = run(client, job, servers, tmp_path)
    assert found.bytes_read == 3 * job.size
    assert found.cost.cpu > 0
    assert found.cost.seconds > 0


@pytest.mark.parametrize("client", ["ours", "floor", CURL])
def test_a_client_copies_over_tls(client: str, job: Job, secure: StandIns, tmp_path: Path) -> None:
    """All of it arrives, as without TLS."""
    found = run(client, replace(job, source=secure.source, sink=secure.sink), secure, tmp_path)
    assert found.bytes_read == 3 * job.size


@pytest.mark.parametrize("client", ["ours", "floor", CURL])
def test_a_client_verifies_certificates(client: str, job: Job, secure: StandIns, tmp_path: Path) -> None:
    """Of a client that trusts another certificate authority, no copy arrives."""
    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(str(other))

    class Distrusted(StandIns):
        def trust(self) -> dict[str, str]:
            return dict.fromkeys(super().trust(), str(other))

    servers = Distrusted(secure.source, secure.sink, secure.bundle)
    with pytest.raises(BrokenRunError, match=r"(?i)certificate"):
        run(client, replace(job, source=secure.source, sink=secure.sink, objects=1), servers, tmp_path)


@pytest.mark.parametrize("client", ["ours", "rclone"])
def test_several_processes_copy_at_the_same_time(client: str, job: Job, servers: StandIns, tmp_path: Path) -> None:
    """Each copies the whole job; none of their warm-ups is counted."""
    if client == "rclone" and not BINARY.exists():
        pytest.skip("rclone is in the environment of the benchmark only")
    found = run(client, job, servers, tmp_path, processes=2)
    assert found.bytes_read == 2 * 3 * job.size


def test_requests_are_those_of_the_job_alone(job: Job, servers: StandIns, tmp_path: Path) -> None:
    """The warm-up is not counted: one GET and one PUT for each small object, and the listings."""
    found = run("ours", replace(job, objects=5, size=1000), servers, tmp_path)
    assert found.reads == {"GET object": 5, "LIST bucket": 1}
    # The container is listed before and after the records of syncs.
    assert found.writes == {"List Blobs": 2, "Put Blob": 5}


def test_a_client_that_fails_is_no_result(job: Job, servers: StandIns, tmp_path: Path) -> None:
    """Its last words are in the error."""
    with pytest.raises(BrokenRunError, match="floor ended with 1"):
        run("floor", replace(job, source=servers.sink), servers, tmp_path)


def test_a_task_runs_through_airflows_task_runner(job: Job, servers: StandIns, tmp_path: Path) -> None:
    """The stand-in for the supervisor is enough for our operator, which copies its object."""
    servers.create_container("task")
    environment = {
        "PATH": os.environ["PATH"],
        "AIRFLOW_HOME": str(tmp_path / "airflow"),
        **servers.airflow_connections(),
    }
    cost = run_task("task-ours", replace(job, container="task", objects=1, size=MIB), environment, tmp_path)
    assert servers.totals("task") == (1, MIB)
    assert cost.cpu > 0


def test_a_task_that_fails_is_no_result(job: Job, servers: StandIns, tmp_path: Path) -> None:
    """A task that Airflow would call failed is not measured."""
    environment = {
        "PATH": os.environ["PATH"],
        "AIRFLOW_HOME": str(tmp_path / "airflow"),
        **servers.airflow_connections(),
    }
    with pytest.raises(BrokenRunError, match="there is no container"):
        run_task("task-ours", replace(job, container="none", objects=1, size=MIB), environment, tmp_path)
