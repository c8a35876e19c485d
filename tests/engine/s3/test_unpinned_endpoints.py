"""A copy from an endpoint that ignores If-Match is of one version, or it is no copy."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests
from azure.core.pipeline import Pipeline

from airflow_s3_azure.engine.azure.container import BlobContainer
from airflow_s3_azure.engine.azure.requests import ContainerAddress
from airflow_s3_azure.engine.azure.transport import ConnectionsTransport
from airflow_s3_azure.engine.cancellation import Cancellation
from airflow_s3_azure.engine.errors import SourceChanged
from airflow_s3_azure.engine.http.client import Connections
from airflow_s3_azure.engine.model import CopyRequest, CopyResult, Precondition
from airflow_s3_azure.engine.options import CopyOptions
from airflow_s3_azure.engine.pool import copy_objects
from airflow_s3_azure.engine.retry import RetryPolicy
from tests.fakes.canned_server import source_at
from tests.fakes.unpinned_server import UnpinnedServer, etag_of, rclone_server, unpinned_server

if TYPE_CHECKING:
    from azure.storage.blob import ContainerClient

pytestmark = pytest.mark.servers

BLOCK = 16 * 1024
SIZE = 5 * BLOCK + 7
OPTIONS = CopyOptions(block_size=BLOCK, retry=RetryPolicy(attempts=2, first_wait=0.01, max_wait=0.01))


def _copy(url: str, container: ContainerClient, request: CopyRequest, threads: int = 3) -> CopyResult:
    cancellation = Cancellation()
    connections = Connections(requests.Session(), cancellation, connect_timeout=20, read_timeout=60)
    pipeline: Pipeline[Any, Any] = Pipeline(ConnectionsTransport(connections), [container.credential])
    blobs = BlobContainer(ContainerAddress(container.url), pipeline, cancellation)
    (result,) = copy_objects([request], source_at(url), blobs, replace(OPTIONS, max_concurrency=threads), cancellation)
    return result


def _version(seed: int, number: int, size: int = SIZE) -> bytes:
    return random.Random(f"{seed} {number}").randbytes(size)


def _overwrite_at(server: UnpinnedServer, requests: list[int], seed: int) -> None:
    """Overwrite the object before these requests, sometimes by a shorter or a longer version."""
    chance = random.Random(seed)

    def before(number: int) -> None:
        if number in requests:
            server.body = _version(seed, number, SIZE + chance.choice([0, 0, 0, -BLOCK, 1]))

    server.before = before


@pytest.mark.parametrize("seed", range(12))
def test_an_overwrite_during_the_copy_is_a_changed_source(container: ContainerClient, seed: int) -> None:
    """Before any one request for a block: nothing is committed, and a new try copies the new version."""
    first = _version(seed, -1)
    with unpinned_server(first) as server:
        _overwrite_at(server, [1 + seed % 6], seed)

        result = _copy(server.url, container, CopyRequest("a", "b"))

        assert isinstance(result.error, SourceChanged)
        assert result.error.retryable
        assert not container.get_blob_client("b").exists()
        again = _copy(server.url, container, CopyRequest("a", "b"))
        assert (again.status, again.etag) == ("copied", etag_of(server.body))
        assert container.download_blob("b").readall() == server.body


@pytest.mark.parametrize("seed", range(30))
def test_many_overwrites_never_make_a_mixture(container: ContainerClient, seed: int) -> None:
    """Whenever they come: what is committed is one version, and the one that the result names."""
    with unpinned_server(_version(seed, -1)) as server:
        for attempt in range(4):
            chance = random.Random(f"{seed} {attempt}")
            _overwrite_at(server, [len(server.requests) + chance.randrange(9) for _ in range(2)], seed + attempt)

            result = _copy(server.url, container, CopyRequest("a", "b"))

            if result.status == "failed":
                assert isinstance(result.error, SourceChanged)
                continue
            assert result.status in ("copied", "unchanged")
            assert etag_of(container.download_blob("b").readall()) == result.etag


def test_a_resumed_copy_continues_only_with_the_version_of_its_blocks(container: ContainerClient) -> None:
    """A cache's HEAD names a version that is gone: its blocks are staged, and the rest cannot be read."""
    first, second = _version(0, 1), _version(0, 2)
    with unpinned_server(first) as server:
        server.before = lambda number: setattr(server, "body", second if number >= 4 else first)
        assert isinstance(_copy(server.url, container, CopyRequest("a", "b"), threads=1).error, SourceChanged)
        server.head_body = first

        stale = _copy(server.url, container, CopyRequest("a", "b"))

        assert isinstance(stale.error, SourceChanged)
        assert stale.resumed_blocks == 3
        assert not container.get_blob_client("b").exists()
        server.head_body = None
        fresh = _copy(server.url, container, CopyRequest("a", "b"))
        assert (fresh.status, fresh.resumed_blocks, fresh.etag) == ("copied", 0, etag_of(second))
        assert container.download_blob("b").readall() == second


def test_a_resumed_copy_of_the_same_version_reads_only_what_is_missing(container: ContainerClient) -> None:
    """The object is what it was again: its blocks are used, and each block that is read is checked."""
    first, second = _version(0, 1), _version(0, 2)
    with unpinned_server(first) as server:
        server.before = lambda number: setattr(server, "body", second if number >= 4 else first)
        _copy(server.url, container, CopyRequest("a", "b"), threads=1)
        server.before = lambda number: setattr(server, "body", first)

        result = _copy(server.url, container, CopyRequest("a", "b"))

        assert (result.status, result.resumed_blocks, result.etag) == ("copied", 3, etag_of(first))
        assert container.download_blob("b").readall() == first


def test_an_object_that_was_overwritten_since_the_plan_is_not_copied_from_rclone(
    container: ContainerClient, tmp_path: Path
) -> None:
    """It ignores If-Match and returns the new version, of the same size, with its ETag."""
    file = tmp_path / "bucket" / "a"
    file.parent.mkdir()
    with rclone_server(tmp_path) as url:
        for seed in range(10):
            file.write_bytes(_version(seed, 1, 1000))
            planned = source_at(url).head("a")
            file.write_bytes(_version(seed, 2, 1000))
            request = CopyRequest(
                "a", f"b{seed}", size=planned.size, etag=planned.etag, precondition=Precondition(None)
            )

            assert isinstance(_copy(url, container, request).error, SourceChanged)
            assert not container.get_blob_client(f"b{seed}").exists()
