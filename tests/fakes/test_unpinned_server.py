"""The unpinned server responds as LocalStack, except to If-Match, which it ignores as rclone does."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
import pytest
import requests
from botocore.config import Config

from tests.fakes.unpinned_server import UnpinnedServer, etag_of, rclone_server, unpinned_server

if TYPE_CHECKING:
    from tests.conftest import Bucket

pytestmark = pytest.mark.servers

DATA = bytes(range(256)) * 10
COMPARED = ("ETag", "Content-Length", "Content-Range")


@pytest.fixture
def server() -> Iterator[UnpinnedServer]:
    """A server of ``DATA``."""
    with unpinned_server(DATA) as running:
        yield running


def _send(method: str, url: str, headers: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
    """Send a request; return the status, the headers that a copy reads, and the body."""
    response = requests.request(method, url, headers={"Accept-Encoding": "identity", **headers}, timeout=30)
    if not response.ok:
        return response.status_code, {}, b""
    found = {name: response.headers[name] for name in COMPARED if name in response.headers}
    return response.status_code, found, response.content


@pytest.mark.parametrize(
    ("method", "byte_range"), [("HEAD", ""), ("GET", ""), ("GET", "bytes=0-99"), ("GET", "bytes=2000-2559")]
)
def test_it_responds_as_localstack(server: UnpinnedServer, bucket: Bucket, method: str, byte_range: str) -> None:
    """To the requests of a copy: HEAD, GET and ranges; only the ETag is one of its own."""
    bucket.put("key", DATA)
    headers = {"Range": byte_range} if byte_range else {}
    operation = "head_object" if method == "HEAD" else "get_object"
    params = {"Bucket": bucket.name, "Key": "key", **({"Range": byte_range} if byte_range else {})}

    status, real, body = _send(method, bucket.client.generate_presigned_url(operation, params), headers)

    assert real["ETag"] == f'"{hashlib.md5(DATA).hexdigest()}"'
    assert _send(method, f"{server.url}/bucket/key", headers) == (status, {**real, "ETag": f'"{etag_of(DATA)}"'}, body)


def test_it_ignores_if_match_as_rclone_does(server: UnpinnedServer, tmp_path: Path) -> None:
    """LocalStack refuses the request, so it cannot stand in for such an endpoint."""
    folder = tmp_path / "bucket"
    folder.mkdir()
    (folder / "key").write_bytes(DATA)
    headers = {"If-Match": f'"{secrets.token_hex(16)}"'}

    with rclone_server(tmp_path) as endpoint:
        client = boto3.client(
            "s3",
            region_name="eu-west-1",
            aws_access_key_id="AKIDEXAMPLE",
            aws_secret_access_key="secret",
            endpoint_url=endpoint,
            config=Config(signature_version="s3v4", s3={"addressing_style": "path"}),
        )
        url = client.generate_presigned_url("get_object", {"Bucket": "bucket", "Key": "key"})
        status, real, body = _send("GET", url, headers)

    assert (status, body) == (200, DATA)
    assert _send("GET", f"{server.url}/bucket/key", headers) == (200, {**real, "ETag": f'"{etag_of(DATA)}"'}, body)


def test_localstack_heeds_if_match(bucket: Bucket) -> None:
    """So a copy from an endpoint that ignores it needs another server."""
    bucket.put("key", DATA)
    params = {"Bucket": bucket.name, "Key": "key", "IfMatch": '"other"'}

    status, _, _ = _send("GET", bucket.client.generate_presigned_url("get_object", params), {"If-Match": '"other"'})

    assert status == 412
