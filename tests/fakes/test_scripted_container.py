"""Scripted responses are read as Azurite's: the headers that prove a success, and the errors of refusals."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
import requests
from azure.core.pipeline import Pipeline

from airflow_s3_azure.engine.azure.container import BlobContainer
from airflow_s3_azure.engine.azure.requests import ContainerAddress
from airflow_s3_azure.engine.azure.transport import ConnectionsTransport, ReadResponse
from airflow_s3_azure.engine.cancellation import Cancellation
from airflow_s3_azure.engine.checksums import azure_text, compute
from airflow_s3_azure.engine.errors import TransferError
from airflow_s3_azure.engine.http.client import Connections
from airflow_s3_azure.engine.model import BlobContent, BlobState, Precondition
from tests.fakes.scripted_container import AZURE, azure_response, scripted

if TYPE_CHECKING:
    from azure.storage.blob import ContainerClient

pytestmark = pytest.mark.servers

DATA = memoryview(b"01234")
CRC = compute("CRC64NVME", DATA)
ID = "x" * 46
CONTENT = BlobContent({}, {})
NEW, ANOTHER = Precondition(None), Precondition('"0x0"')

Call = Callable[[BlobContainer], Any]


class RecordingTransport(ConnectionsTransport):
    """Keeps each response of Azurite."""

    def __init__(self, connections: Connections) -> None:
        super().__init__(connections)
        self.responses: list[ReadResponse] = []

    def send(self, request: Any, **options: Any) -> ReadResponse:
        """Send a request and keep its response."""
        self.responses.append(super().send(request, **options))
        return self.responses[-1]


@pytest.fixture
def azurite(container: ContainerClient) -> Iterator[tuple[BlobContainer, RecordingTransport]]:
    """The engine's container in Azurite, and its transport."""
    cancellation = Cancellation()
    with requests.Session() as session:
        connections = Connections(session, cancellation, connect_timeout=20, read_timeout=60)
        with closing(RecordingTransport(connections)) as transport:
            pipeline: Pipeline[Any, Any] = Pipeline(transport, [container.credential])
            yield BlobContainer(ContainerAddress(container.url), pipeline, cancellation), transport


def _put(blobs: BlobContainer, condition: Precondition = NEW) -> str:
    return blobs.put("b", DATA, CRC, CONTENT, condition)


def _stage(blobs: BlobContainer) -> None:
    blobs.stage("b", ID, DATA, CRC)


SUCCESSES: dict[str, tuple[list[Call], Call, int, set[str]]] = {
    # Azure returns the CRC-64 of a Put Blob, too: its own recordings have it (tests/fuzz/recorded.py).
    "put": ([], _put, 201, {"etag"}),
    "stage": ([], _stage, 201, {"x-ms-content-crc64"}),
    "commit": ([_stage], lambda blobs: blobs.commit("b", [ID], CONTENT, NEW), 201, {"etag"}),
    "head": ([_put], lambda blobs: blobs.head("b"), 200, {"etag", "content-length"}),
    "staged": ([_stage], lambda blobs: blobs.staged("b"), 200, set()),
    "delete": ([_put], lambda blobs: blobs.delete("b", "*"), 202, set()),
}
"""Calls that prepare the blob, the call, its status, and the headers that scripted responses to it have."""


@pytest.mark.parametrize("name", SUCCESSES)
def test_a_scripted_success_has_headers_of_azurites(
    azurite: tuple[BlobContainer, RecordingTransport], name: str
) -> None:
    """And the same values where the request determines them; the call returns the same."""
    blobs, transport = azurite
    before, call, status, headers = SUCCESSES[name]
    for one in before:
        one(blobs)

    expected = call(blobs)

    real = transport.responses[-1]
    assert (real.status_code, {*AZURE, *headers} - {header.lower() for header in real.headers}) == (status, set())
    assert real.headers.get("x-ms-content-crc64", azure_text(CRC)) == azure_text(CRC)
    sent = {header: real.headers[header] for header in headers}
    replayed, _ = scripted(azure_response(status, sent, real.content))
    assert _comparable(call(replayed)) == _comparable(expected)


def _comparable(result: Any) -> Any:
    """Return a result without what the scripted responses do not have."""
    return (result.etag, result.size, result.record) if isinstance(result, BlobState) else result


REFUSALS: dict[str, tuple[list[Call], Call, int, str]] = {
    "the blob exists": ([_put], _put, 409, "BlobAlreadyExists"),
    "another version": ([_put], lambda blobs: _put(blobs, ANOTHER), 412, "ConditionNotMet"),
    "an unknown block": ([], lambda blobs: blobs.commit("b", [ID], CONTENT, NEW), 400, "InvalidBlockList"),
    "another CRC": ([], lambda blobs: blobs.stage("b", ID, DATA, CRC ^ 1), 400, "Crc64Mismatch"),
    "IDs of another length": (
        [_stage],
        lambda blobs: blobs.stage("b", ID + "x", DATA, CRC),
        400,
        "InvalidBlobOrBlock",
    ),
}
"""Calls that prepare the blob, the call, and the refusal."""


@pytest.mark.parametrize("name", REFUSALS)
def test_a_scripted_refusal_is_the_same_error(azurite: tuple[BlobContainer, RecordingTransport], name: str) -> None:
    """With a status and an error code only: the class, the message and the verdict on a retry."""
    blobs, transport = azurite
    before, call, status, code = REFUSALS[name]
    for one in before:
        one(blobs)
    sent = len(transport.responses)

    with pytest.raises(TransferError) as real:
        call(blobs)

    script = [azure_response(one.status_code, content=one.content) for one in transport.responses[sent + 1 :]]
    replayed, _ = scripted(azure_response(status, {"x-ms-error-code": code}), *script)
    with pytest.raises(TransferError) as found:
        call(replayed)
    first = transport.responses[sent]
    assert (first.status_code, first.headers["x-ms-error-code"]) == (status, code)
    assert _described(found.value) == _described(real.value)


def _described(error: TransferError) -> tuple[type[TransferError], str, bool, bool]:
    message = " ".join(re.sub(r"'https?://[^']*'|request [^)]*", "…", str(error)).split())
    return type(error), message, error.transient, error.retryable
