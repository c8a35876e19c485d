"""The contract tests of the fakes, on the accounts of ``make test-cloud``: what the fakes do, the real services do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from airflow_s3_azure.engine.azure.container import BlobContainer
from airflow_s3_azure.engine.azure.requests import ContainerAddress
from airflow_s3_azure.engine.azure.transport import ReadResponse
from airflow_s3_azure.engine.cancellation import Cancellation
from airflow_s3_azure.engine.errors import TransferError
from airflow_s3_azure.engine.model import SourceObject
from airflow_s3_azure.engine.s3.source import S3Source
from tests.cloud.accounts import Accounts, configured
from tests.fakes.test_memory import (  # noqa: F401 - collected here, with the fixtures of this module
    DATA,
    test_a_missing_key_and_another_version_are_the_same_errors,
    test_a_put_is_conditional,
    test_an_object_is_described_and_read_alike,
    test_blocks_are_staged_listed_and_committed_alike,
)
from tests.fakes.test_scripted_container import (  # noqa: F401 - the same
    test_a_scripted_refusal_is_the_same_error,
    test_a_scripted_success_has_headers_of_azurites,
)

ACCOUNTS = configured()

pytestmark = pytest.mark.skipif(
    ACCOUNTS is None, reason="needs real accounts: make test-cloud says which variables to set"
)


class BelowPrefix:
    """A source whose keys are all below a prefix.

    :param source: the whole bucket
    """

    def __init__(self, source: S3Source, prefix: str) -> None:
        self._source = source
        self._prefix = prefix

    def head(self, key: str) -> SourceObject:
        """HEAD an object."""
        return self._source.head(self._prefix + key)

    def read(self, found: SourceObject, *arguments: Any) -> Any:
        """Read a range of an object, whose key is whole."""
        return self._source.read(found, *arguments)

    def read_whole(self, key: str, *arguments: Any) -> SourceObject:
        """Read an object."""
        return self._source.read_whole(self._prefix + key, *arguments)


@pytest.fixture
def accounts(monkeypatch: pytest.MonkeyPatch) -> Accounts:
    """The accounts, as Airflow's connections."""
    assert ACCOUNTS is not None
    for name, value in ACCOUNTS.connections().items():
        monkeypatch.setenv(name, value)
    return ACCOUNTS


@pytest.fixture
def source(accounts: Accounts) -> Iterator[BelowPrefix]:
    """A bucket that holds ``DATA`` under ``key``."""
    from airflow_s3_azure.connections import open_bucket

    bucket = open_bucket(accounts.aws_conn_id, accounts.bucket, Cancellation(), max_concurrency=2)
    client: Any = bucket.client
    prefix = f"{accounts.prefix}{accounts.name}/"
    client.put_object(Bucket=bucket.name, Key=f"{prefix}key", Body=DATA, ChecksumAlgorithm="CRC64NVME")
    yield BelowPrefix(bucket.source, prefix)
    client.delete_object(Bucket=bucket.name, Key=f"{prefix}key")


@pytest.fixture
def blobs(accounts: Accounts) -> Iterator[BlobContainer]:
    """An empty container: a random name in a container stands for it."""
    from airflow_s3_azure.connections import open_container

    whole = open_container("cloud_wasb", accounts.container, Cancellation()).blobs
    address = ContainerAddress(f"{whole.url}/{accounts.blob_prefix}{accounts.name}", whole._address.query)
    below = BlobContainer(address, whole._pipeline, Cancellation())
    yield below
    try:
        for name in ("b", "blob"):
            if (state := below.head(name)) is not None:
                below.delete(name, state.etag)
            elif below.staged(name):
                below.discard_staged(name)
    except TransferError as error:
        pytest.fail(f"what is below {below.url} could not be removed: {error}")


class Recorded:
    """Responses of a container, in their order."""

    def __init__(self) -> None:
        self.responses: list[ReadResponse] = []


@pytest.fixture
def azurite(blobs: BlobContainer, monkeypatch: pytest.MonkeyPatch) -> tuple[BlobContainer, Recorded]:
    """The container of the account in the place of Azurite's, and its responses."""
    transport: Any = blobs._pipeline._transport
    send, recorded = transport.send, Recorded()

    def record(request: Any, **options: Any) -> ReadResponse:
        recorded.responses.append(send(request, **options))
        return recorded.responses[-1]

    monkeypatch.setattr(transport, "send", record)
    return blobs, recorded
