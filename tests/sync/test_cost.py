"""What a plan will cost, compared with what the servers see."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_s3_azure.connections import open_bucket, open_container
from airflow_s3_azure.engine.cancellation import Cancellation
from airflow_s3_azure.engine.options import CopyOptions
from airflow_s3_azure.sync.cost import GIB, Cost
from airflow_s3_azure.sync.execution import BatchExecution
from airflow_s3_azure.sync.ledger import PlanFolder
from airflow_s3_azure.sync.listing import list_blobs, list_objects
from airflow_s3_azure.sync.naming import Naming
from airflow_s3_azure.sync.plan_model import Listing, PlanOptions
from airflow_s3_azure.sync.planner import make_plan
from airflow_s3_azure.sync.select import Selection
from tests.faults.proxy import Delay, FaultProxy
from tests.faults.route import azure_through, through
from tests.rig import Rig

if TYPE_CHECKING:
    from azure.storage.blob import ContainerClient

    from tests.conftest import Bucket
    from tests.faults.http1 import Request
    from tests.servers import AzureServer, S3Server

BLOCK = 1000
MIB = 1024**2


def cost(*sizes: int, block_size: int = BLOCK) -> Cost:
    """Return the cost of objects of these sizes."""
    made = Cost(block_size)
    for size in sizes:
        made.add(size)
    return made


@pytest.mark.parametrize(("size", "azure_requests"), [(0, 2), (1, 3), (BLOCK, 3), (BLOCK + 1, 4)])
def test_a_blob_to_read_back_costs_no_egress(size: int, azure_requests: int) -> None:
    """One HEAD of the object; of the blob a HEAD, a GET for each block and one write of its metadata."""
    made = Cost(BLOCK)
    made.add_read_back(size)

    found = made.as_json(egress_price_per_gib=1.0)

    assert found == {
        "objects": 0,
        "bytes": 0,
        "s3_requests": 1,
        "azure_requests": azure_requests,
        "read_back_objects": 1,
        "read_back_bytes": size,
        "egress_gib": 0.0,
        "egress_price": 0.0,
    }


@pytest.mark.parametrize(
    ("size", "s3_requests", "azure_requests"),
    [(0, 1, 1), (1, 1, 1), (BLOCK, 1, 1), (BLOCK + 1, 3, 4), (3 * BLOCK, 4, 5), (3 * BLOCK + 1, 5, 6)],
)
def test_the_requests_of_an_object_are_counted(size: int, s3_requests: int, azure_requests: int) -> None:
    """One of each if it fits a block; else some for the whole, and one for each block."""
    assert cost(size) == Cost(BLOCK, 1, size, s3_requests, azure_requests)


def test_a_huge_object_has_no_more_blocks_than_azure_allows() -> None:
    """Its blocks are larger then."""
    assert cost(10 * 1024 * GIB, block_size=8 * MIB).s3_requests <= 50_001


@given(sizes=st.lists(st.integers(0, 10 * BLOCK)))
def test_costs_add_up(sizes: list[int]) -> None:
    """Object by object."""
    made, single = cost(*sizes), [cost(size) for size in sizes]

    assert (made.objects, made.size) == (len(sizes), sum(sizes))
    assert made.s3_requests == sum(one.s3_requests for one in single)
    assert made.azure_requests == sum(one.azure_requests for one in single)


@pytest.mark.parametrize(("price", "total"), [(None, None), (0.0, 0.0), (0.09, 0.27)])
def test_egress_has_the_price_that_is_given(price: float | None, total: float | None) -> None:
    """Of a GiB; without one there is none."""
    found = cost(3 * GIB, block_size=8 * MIB).as_json(price)

    assert json.loads(json.dumps(found)) == {
        "objects": 1,
        "bytes": 3 * GIB,
        "s3_requests": 385,
        "azure_requests": 386,
        "read_back_objects": 0,
        "read_back_bytes": 0,
        "egress_gib": 3.0,
        "egress_price": total,
    }


class Counted:
    """Counts the requests of a copy that a proxy forwards."""

    def __init__(self, proxy: FaultProxy) -> None:
        self.requests = 0
        proxy.strike(Delay("unseen", 0), self._is_struck, times=None)

    def _is_struck(self, request: Request) -> bool:
        # Listings, the HEAD of the container, and the requests of plan and ledger are not part of the cost.
        is_counted = "restype" not in request.query and "list-type" not in request.query
        self.requests += is_counted and "/_s3_to_azure/" not in request.path
        return False


@pytest.mark.servers
@pytest.mark.airflow
def test_the_cost_is_what_the_servers_see(
    s3_server: S3Server,
    azure_server: AzureServer,
    bucket: Bucket,
    container: ContainerClient,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Request for request and byte for byte, for objects of no, one and many blocks, some of which replace a blob."""
    sizes = {"empty": 0, "small": 10, "block": BLOCK, "two": BLOCK + 1, "many": 20 * BLOCK + 7, "old": 3 * BLOCK}
    for key, size in sizes.items():
        bucket.put(key, random.Random(key).randbytes(size), ChecksumAlgorithm="CRC64NVME")
    container.upload_blob("old", b"old")
    folder = PlanFolder(container, "_s3_to_azure/plan")
    rig = Rig(bucket, container)
    plan = make_plan(
        Listing(lambda: list_objects(rig.source)),
        Listing(lambda: list_blobs(rig.blobs)),
        PlanOptions(Selection(), Naming(), block_size=BLOCK),
        folder,
    )
    (reference,) = plan.batches
    with FaultProxy("127.0.0.1", s3_server.port) as s3, FaultProxy("127.0.0.1", azure_server.port) as azure:
        monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps(through(s3_server, s3).airflow_connection()))
        monkeypatch.setenv(
            "AIRFLOW_CONN_WASB_DEFAULT", json.dumps(azure_through(azure_server, azure).airflow_connection())
        )
        stop = Cancellation()
        source = open_bucket("aws_default", bucket.name, stop, max_concurrency=4).source
        blobs = open_container("wasb_default", container.container_name, stop).blobs
        seen_s3, seen_azure = Counted(s3), Counted(azure)
        run = BatchExecution(reference, folder, try_number=1)

        run.copy(source, blobs, CopyOptions(block_size=BLOCK, max_concurrency=4), stop)

    assert run.summary()["copied"] == len(sizes)
    assert (plan.cost.objects, plan.cost.size) == (len(sizes), run.summary()["bytes_read"])
    assert (plan.cost.s3_requests, plan.cost.azure_requests) == (seen_s3.requests, seen_azure.requests)
