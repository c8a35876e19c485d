"""The proxy that lets Azurite read from elsewhere responds as Azurite does where it reads from itself."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import formatdate
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
import requests
from azure.core.pipeline import PipelineContext, PipelineRequest
from azure.core.pipeline.transport import HttpRequest
from azure.storage.blob import BlobSasPermissions, BlobServiceClient, generate_blob_sas

from tests.servers.process import free_port

if TYPE_CHECKING:
    from azure.storage.blob import ContainerClient

    from tests.fakes.reading_azurite import ReadingAzurite

pytestmark = pytest.mark.servers

BODY = bytes(range(256)) * 40
COMPARED = ("x-ms-error-code", "x-ms-content-crc64", "content-md5", "x-ms-request-server-encrypted")


def _source(reading_azurite: ReadingAzurite, container: ContainerClient, blob: str = "source", **sas: Any) -> str:
    token = generate_blob_sas(
        reading_azurite.server.account,
        container.container_name,
        blob,
        account_key=reading_azurite.server.key,
        permission=BlobSasPermissions(read=True),
        expiry=datetime.now(UTC) + sas.get("life", timedelta(hours=1)),
    )
    return f"{reading_azurite.server.endpoint}/{container.container_name}/{blob}?{token}"


def _put_block(
    endpoint: str, key: str, container: ContainerClient, headers: Mapping[str, str], block: str = "b001"
) -> requests.Response:
    block_id = base64.b64encode(block.encode()).decode()
    url = f"{endpoint}/{container.container_name}/target?comp=block&blockid={quote(block_id)}"
    given = {"x-ms-version": "2023-11-03", "x-ms-date": formatdate(usegmt=True), "Content-Length": "0", **headers}
    request = HttpRequest("PUT", url, headers=given)
    policy: Any = BlobServiceClient(endpoint, credential=key).credential
    policy.on_request(PipelineRequest(request, PipelineContext(None)))
    return requests.put(url, headers=dict(request.headers), timeout=30)


def _compared(response: requests.Response) -> tuple[int, dict[str, str]]:
    return response.status_code, {name: response.headers[name] for name in COMPARED if name in response.headers}


MD5 = base64.b64encode(hashlib.md5(BODY[:1000]).digest()).decode()
CASES: dict[str, tuple[int, dict[str, str]]] = {
    "a range": (201, {"x-ms-source-range": "bytes=0-999"}),
    "all of it": (201, {}),
    "the right MD5": (201, {"x-ms-source-range": "bytes=0-999", "x-ms-source-content-md5": MD5}),
    "a wrong MD5": (400, {"x-ms-source-range": "bytes=0-998", "x-ms-source-content-md5": MD5}),
    "a wrong ETag": (412, {"x-ms-source-range": "bytes=0-999", "x-ms-source-if-match": '"other"'}),
    "a range beyond the end": (416, {"x-ms-source-range": "bytes=20000-20999"}),
    "a malformed range": (400, {"x-ms-source-range": "octets=1"}),
}


@pytest.mark.parametrize("case", CASES)
def test_the_proxy_responds_as_azurite_does(
    reading_azurite: ReadingAzurite, container: ContainerClient, case: str
) -> None:
    """The same request, with a source in the same Azurite, directly and through the proxy."""
    container.upload_blob("source", BODY)
    status, requested = CASES[case]
    headers = {"x-ms-copy-source": _source(reading_azurite, container), **requested}

    direct = _put_block(reading_azurite.server.endpoint, reading_azurite.server.key, container, headers, "b001")
    proxied = _put_block(reading_azurite.endpoint, reading_azurite.server.key, container, headers, "b002")

    assert direct.status_code == status
    assert _compared(proxied) == _compared(direct)
    staged = container.get_blob_client("target")
    if direct.ok:
        sizes = {block.id: block.size for block in staged.get_block_list("uncommitted")[1]}
        assert sizes["b001"] == sizes["b002"]


def test_a_missing_or_forbidden_source_gets_the_response_of_azurite(
    reading_azurite: ReadingAzurite, container: ContainerClient
) -> None:
    """A missing blob, an expired SAS and a wrong one."""
    container.upload_blob("source", BODY)
    for source in (
        _source(reading_azurite, container, "missing"),
        _source(reading_azurite, container, life=timedelta(hours=-1)),
        _source(reading_azurite, container) + "x",
    ):
        headers = {"x-ms-copy-source": source, "x-ms-source-range": "bytes=0-9"}
        direct = _put_block(reading_azurite.server.endpoint, reading_azurite.server.key, container, headers)
        proxied = _put_block(reading_azurite.endpoint, reading_azurite.server.key, container, headers)
        assert _compared(proxied) == _compared(direct)
        assert direct.headers["x-ms-error-code"] == "CannotVerifyCopySource"


def test_the_signature_of_the_request_is_checked(reading_azurite: ReadingAzurite, container: ContainerClient) -> None:
    """A request that another key signed stages nothing."""
    container.upload_blob("source", BODY)
    wrong = base64.b64encode(b"x" * 64).decode()

    response = _put_block(
        reading_azurite.endpoint, wrong, container, {"x-ms-copy-source": _source(reading_azurite, container)}
    )

    assert (response.status_code, response.headers["x-ms-error-code"]) == (403, "AuthorizationFailure")
    assert not container.get_blob_client("target").exists()


def test_a_source_that_refuses_connections_cannot_be_verified(
    reading_azurite: ReadingAzurite, container: ContainerClient
) -> None:
    """The status and the code are those of Azure after a failed connection."""
    headers = {"x-ms-copy-source": f"http://127.0.0.1:{free_port()}/nothing"}

    response = _put_block(reading_azurite.endpoint, reading_azurite.server.key, container, headers)

    assert _compared(response) == (500, {"x-ms-error-code": "CannotVerifyCopySource"})
