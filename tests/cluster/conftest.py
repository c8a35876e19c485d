"""One cluster for all of these tests, with a proxy before its S3, and a sync for each."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from tests.cluster.syncs import ClusterSync
from tests.faults.proxy import FaultProxy
from tests.faults.route import through
from tests.servers.cluster import AirflowCluster

if TYPE_CHECKING:
    from azure.storage.blob import ContainerClient

    from tests.conftest import Bucket
    from tests.servers import AzureServer, S3Server

SEEDS = [int(seed) for seed in os.environ.get("CLUSTER_SEEDS", "1").split(",")]
"""What decides when a fault strikes."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that takes chances once for each seed."""
    if "chance" in metafunc.fixturenames:
        metafunc.parametrize("chance", SEEDS, ids=lambda seed: f"seed={seed}", indirect=True)


@pytest.fixture
def chance(request: pytest.FixtureRequest) -> random.Random:
    """What decides when a fault strikes."""
    return random.Random(request.param)


@pytest.fixture(scope="session")
def s3_proxy(s3_server: S3Server) -> Iterator[FaultProxy]:
    """What all reads of the cluster go through."""
    with FaultProxy("127.0.0.1", s3_server.port) as proxy:
        yield proxy


@pytest.fixture(scope="session")
def started_cluster(
    tmp_path_factory: pytest.TempPathFactory, s3_server: S3Server, azure_server: AzureServer, s3_proxy: FaultProxy
) -> Iterator[AirflowCluster]:
    """A running cluster."""
    directory = tmp_path_factory.mktemp("cluster")
    dags = directory / "dags"
    dags.mkdir()
    connections: dict[str, dict[str, Any]] = {
        "aws_default": through(s3_server, s3_proxy).airflow_connection(),
        "wasb_default": azure_server.airflow_connection(),
    }
    with AirflowCluster(directory, dags, connections) as cluster:
        yield cluster


@pytest.fixture
def cluster(started_cluster: AirflowCluster, s3_proxy: FaultProxy) -> Iterator[AirflowCluster]:
    """The cluster, all of whose parts are healthy: one that lost its database, or was killed by the last test, may die late."""
    started_cluster.start_unhealthy_parts()
    yield started_cluster
    s3_proxy.heal()


@pytest.fixture
def sync(cluster: AirflowCluster, bucket: Bucket, container: ContainerClient) -> ClusterSync:
    """A sync of an empty bucket that has not begun."""
    return ClusterSync(cluster, bucket, container)
