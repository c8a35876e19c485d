"""The triggerer is killed while a copy task waits for the restore of archived objects."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from tests.fakes.canned_server import serving
from tests.fakes.restoring_s3 import RestoringS3

if TYPE_CHECKING:
    from tests.cluster.syncs import ClusterSync
    from tests.conftest import Bucket
    from tests.servers import S3Server
    from tests.servers.cluster import AirflowCluster

pytestmark = [pytest.mark.servers, pytest.mark.airflow, pytest.mark.cluster]

CONNECTION = "aws_restores"
COLD = {f"cold/{number}": b"x" * number for number in range(1, 5)}


@pytest.fixture
def s3(cluster: AirflowCluster, bucket: Bucket, s3_server: S3Server) -> Iterator[RestoringS3]:
    """An S3 whose restores end when the test has them end; a connection in the metadata database leads to it."""
    with serving(RestoringS3(bucket, s3_server.port)) as running:
        connection = s3_server.airflow_connection()
        connection["extra"] |= {"endpoint_url": running.url}
        cluster.add_connection(CONNECTION, connection)
        yield running


def test_a_killed_triggerers_wait_is_continued_by_another(
    cluster: AirflowCluster, sync: ClusterSync, s3: RestoringS3
) -> None:
    """In the same try; no restore is requested again, and all objects are copied."""
    sync.put({"a": b"hot"})
    sync.put(COLD, StorageClass="GLACIER")
    sync.start(archived="restore", approve_restore_above=None, restore_poll_interval=15, aws_conn_id=CONNECTION)
    first = _deferred(sync)
    listings = s3.listings
    sync.wait_for(lambda: s3.listings > listings, 60)

    cluster.parts["triggerer"].kill()
    with s3.lock:
        s3.finish(len(COLD))
    cluster.start_part("triggerer")
    second = sync.wait_for(lambda: _triggered_by_another(sync, first["triggerer_job"]["id"]), 120)
    report = sync.finish()

    sync.check(report)
    (task,) = sync.copies()
    assert (task["try_number"], second["trigger"]["id"]) == (1, first["trigger"]["id"])
    assert {key: len(bodies) for key, bodies in s3.requests.items()} == dict.fromkeys(COLD, 1)


def _deferred(sync: ClusterSync) -> dict[str, Any]:
    """Return the copy task once a triggerer runs its trigger."""
    return sync.wait_for(lambda: next((one for one in sync.copies() if one["triggerer_job"]), None), 120)


def _triggered_by_another(sync: ClusterSync, job_id: int) -> dict[str, Any] | None:
    """Return the copy task if a triggerer with another job runs its trigger."""
    return next((one for one in sync.copies() if one["triggerer_job"] and one["triggerer_job"]["id"] != job_id), None)
