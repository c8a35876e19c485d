"""A part of the cluster fails in the middle of a big object: the blob ends right, and nothing is counted twice."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.cluster.syncs import MIB, ClusterSync
from tests.faults.proxy import Delay, FaultProxy, Rule

if TYPE_CHECKING:
    from tests.faults.http1 import Request
    from tests.servers.cluster import AirflowCluster

pytestmark = [pytest.mark.servers, pytest.mark.airflow, pytest.mark.cluster]

BIG = "z-big"
BLOCKS = 24
CONCURRENCY = 3
LISTINGS = 64 * 1024
"""More bytes than come from S3 besides objects: two listings' worth."""
FOREVER = 300.0


def is_block(request: Request) -> bool:
    """Return whether a request reads a block of the big object."""
    return request.method == "GET" and request.path.endswith(f"/{BIG}") and "range" in request.headers


@dataclass(frozen=True, slots=True)
class Halfway:
    """A sync that waits in the middle of its big object, with all else done.

    :param staged: blocks that are staged; no further one is read until the proxy before S3 is healed
    :param host: of the worker that copies
    :param waiting: counts the reads that wait
    """

    staged: int
    host: str
    waiting: Rule


@pytest.fixture
def halfway(sync: ClusterSync, s3_proxy: FaultProxy, chance: random.Random) -> Halfway:
    """A sync that waits in the middle of its big object, after a number of blocks that chance chose."""
    sync.put({f"a/{number}": chance.randbytes(100 + number) for number in range(20)})
    sync.put({BIG: chance.randbytes(BLOCKS * MIB - 1)})
    staged = chance.randrange(CONCURRENCY, BLOCKS - CONCURRENCY)
    waiting = s3_proxy.strike(Delay("done", FOREVER), is_block, skip=staged, times=None)
    sync.start(max_concurrency=CONCURRENCY)
    host = sync.copying()["hostname"]
    sync.wait_for(lambda: sync.staged(BIG) == staged, 60)
    return Halfway(staged, host, waiting)


def test_a_killed_workers_copy_is_resumed_on_the_other(
    cluster: AirflowCluster, sync: ClusterSync, s3_proxy: FaultProxy, halfway: Halfway
) -> None:
    """At most the blocks in flight are read again, by the bytes that S3 sent."""
    sent_before = s3_proxy.bytes_to_client
    cluster.workers[halfway.host].kill()
    s3_proxy.heal()
    report = sync.finish()

    sync.check(report)
    (task,) = sync.copies()
    assert (task["try_number"], task["hostname"]) == (2, other(halfway.host))
    assert sync.ledger()[BIG]["bytes_read"] == (BLOCKS - halfway.staged) * MIB - 1
    assert sync.ledger()[BIG]["resumed_blocks"] == halfway.staged
    sent = s3_proxy.bytes_to_client - sent_before
    assert sent <= (BLOCKS - halfway.staged + CONCURRENCY) * MIB + LISTINGS


def test_a_redelivered_task_is_not_run_twice(
    cluster: AirflowCluster, sync: ClusterSync, s3_proxy: FaultProxy, halfway: Halfway
) -> None:
    """The broker takes a task that runs for lost; Airflow refuses its second start, and the first goes on."""
    # It also checks for lost tasks ten times as often: every ten seconds.
    impatient = {"VISIBILITY_TIMEOUT": "2", "UNACKED_RESTORE_THROTTLE": "1"}
    config = {f"AIRFLOW__CELERY_BROKER_TRANSPORT_OPTIONS__{name}": value for name, value in impatient.items()}
    with cluster.one_more_worker("worker-3", config):
        refusal = "Task already running elsewhere, ignoring redelivered message"
        sync.wait_for(lambda: any(refusal in cluster.log_of(name) for name in (*cluster.workers, "worker-3")), 60)
        s3_proxy.heal()
        report = sync.finish()

    sync.check(report)
    (task,) = sync.copies()
    assert (task["try_number"], task["hostname"]) == (1, halfway.host)
    assert report["bytes_read"] == report["copied_bytes"]


def test_a_worker_that_hung_and_wakes_up_does_no_harm(
    cluster: AirflowCluster, sync: ClusterSync, s3_proxy: FaultProxy, halfway: Halfway
) -> None:
    """Its task was given to the other worker, and for a moment both copy; the one that was replaced is stopped."""
    hung = cluster.workers[halfway.host]
    hung.suspend()
    assert s3_proxy.wait_until(lambda: halfway.waiting.struck > CONCURRENCY), "no other worker reads"
    hung.resume()
    s3_proxy.heal()
    report = sync.finish()
    sync.wait_for(lambda: "Task killed!" in sync.logs(1), 60)

    sync.check(report)
    (task,) = sync.copies()
    assert (task["try_number"], task["hostname"]) == (2, other(halfway.host))


def test_a_worker_that_wakes_up_after_the_run_leaves_its_ledger_alone(
    cluster: AirflowCluster, sync: ClusterSync, s3_proxy: FaultProxy, halfway: Halfway
) -> None:
    """Its task ended well elsewhere; when it is killed, it must not write the little that it knows over the ledger."""
    hung = cluster.workers[halfway.host]
    hung.suspend()
    assert s3_proxy.wait_until(lambda: halfway.waiting.struck > CONCURRENCY), "no other worker reads"
    s3_proxy.heal()
    report = sync.finish()
    hung.resume()
    sync.wait_for(lambda: "Task killed!" in sync.logs(1), 60)

    sync.check(report)


def test_a_scheduler_that_is_killed_and_started_again_loses_nothing(
    cluster: AirflowCluster, sync: ClusterSync, s3_proxy: FaultProxy, halfway: Halfway
) -> None:
    """The copy goes on without it."""
    cluster.parts["scheduler"].kill()
    time.sleep(3)
    cluster.start_part("scheduler")
    s3_proxy.heal()
    report = sync.finish()

    sync.check(report)
    (task,) = sync.copies()
    assert (task["try_number"], task["hostname"]) == (1, halfway.host)
    assert report["bytes_read"] == report["copied_bytes"]


def test_a_metadata_database_that_restarts_loses_nothing(
    cluster: AirflowCluster, sync: ClusterSync, s3_proxy: FaultProxy, halfway: Halfway
) -> None:
    """Parts of Airflow die of it and are started again, as an init system does; the copy goes on meanwhile."""
    cluster.database.stop()
    s3_proxy.heal()
    sync.wait_for(lambda: "scheduler" in cluster.dead_parts(), 60)
    cluster.database.start()
    sync.wait_for(lambda: cluster.is_healthy("metadatabase"), 60)
    for name in ("scheduler", "dag-processor", "triggerer"):  # each ends of it, some after the database is back
        cluster.start_part(name)
    report = sync.finish()

    sync.check(report)
    (task,) = sync.copies()
    assert (task["try_number"], task["hostname"]) == (1, halfway.host)
    assert report["bytes_read"] == report["copied_bytes"]


def other(host: str) -> str:
    """Return the other worker."""
    return {"worker-1": "worker-2", "worker-2": "worker-1"}[host]
