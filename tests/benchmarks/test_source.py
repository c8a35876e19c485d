"""The stand-in for S3 responds as the S3 server does: the same statuses, headers and bodies for the same requests."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import boto3
import pytest
import requests
from botocore.config import Config

from benchmarks.source import PREFIX, REGION, bucket_name, key_name
from benchmarks.stand_ins import StandIns, stand_ins

if TYPE_CHECKING:
    from tests.servers import S3Server

pytestmark = pytest.mark.servers

COUNT, SIZE = 5, 70_001
BUCKET = bucket_name(COUNT, SIZE)
KEY = key_name(3)
HEADERS = (
    "Accept-Ranges",
    "Content-Length",
    "Content-Range",
    "Content-Type",
    "ETag",
    "x-amz-bucket-region",
    "x-amz-checksum-crc64nvme",
    "x-amz-checksum-type",
)


@pytest.fixture(scope="module")
def servers() -> Iterator[StandIns]:
    """Both stand-ins."""
    with stand_ins() as started:
        yield started


@pytest.fixture(scope="module")
def clients(servers: StandIns, s3_server: S3Server) -> tuple[Any, Any]:
    """boto3 clients of the stand-in and of the S3 server, which holds the same objects."""
    ours = boto3.session.Session().client(
        "s3",
        endpoint_url=servers.source,
        region_name=REGION,
        aws_access_key_id="access",
        aws_secret_access_key="secret",
        config=Config(signature_version="s3v4", s3={"addressing_style": "path"}),
    )
    theirs = s3_server.client()
    theirs.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": s3_server.region})
    for number in range(COUNT):
        body = ours.get_object(Bucket=BUCKET, Key=key_name(number))["Body"].read()
        theirs.put_object(Bucket=BUCKET, Key=key_name(number), Body=body, ChecksumAlgorithm="CRC64NVME")
    return ours, theirs


def exchange(client: Any, operation: str, **params: Any) -> tuple[int, dict[str, str], bytes]:
    """Send one request by a presigned URL; return its status, the headers that matter and its body."""
    url = client.generate_presigned_url(operation, params)
    sent = {"Range": "Range", "IfMatch": "If-Match", "ChecksumMode": "x-amz-checksum-mode"}
    headers = {header: params[name] for name, header in sent.items() if name in params}
    method = "HEAD" if operation.startswith("head") else "GET"
    response = requests.request(method, url, headers={"Accept-Encoding": "identity", **headers}, timeout=30)
    compared = {name: response.headers[name] for name in HEADERS if name in response.headers}
    body = response.content
    if response.status_code >= 400:
        # An error's text is each server's own; its code is what clients read.
        code = re.search(rb"<Code>(\w+)</Code>", body)
        return response.status_code, {}, code[1] if code else b""
    return response.status_code, compared, body


@pytest.mark.parametrize(
    ("operation", "params"),
    [
        ("head_bucket", {}),
        ("head_object", {"Key": KEY}),
        ("head_object", {"Key": KEY, "ChecksumMode": "ENABLED"}),
        ("head_object", {"Key": "data/none"}),
        ("get_object", {"Key": KEY}),
        ("get_object", {"Key": KEY, "ChecksumMode": "ENABLED"}),
        ("get_object", {"Key": KEY, "Range": "bytes=0-0"}),
        ("get_object", {"Key": KEY, "Range": "bytes=1000-65999"}),
        ("get_object", {"Key": KEY, "Range": "bytes=69000-"}),
        ("get_object", {"Key": KEY, "Range": "bytes=69000-900000"}),
        ("get_object", {"Key": KEY, "Range": "bytes=-100"}),
        ("get_object", {"Key": KEY, "Range": "bytes=70001-"}),
        ("get_object", {"Key": KEY, "IfMatch": '"0123456789abcdef0123456789abcdef"'}),
        ("get_object", {"Key": "data/none"}),
    ],
)
def test_the_stand_in_responds_as_s3_does(clients: tuple[Any, Any], operation: str, params: dict[str, str]) -> None:
    """The same request brings the same status, headers and body."""
    ours, theirs = (exchange(client, operation, Bucket=BUCKET, **params) for client in clients)
    assert ours == theirs


def test_a_range_that_is_pinned_to_the_etag_is_returned(clients: tuple[Any, Any]) -> None:
    """If-Match accepts the ETag of a HEAD."""
    etags = {client.head_object(Bucket=BUCKET, Key=KEY)["ETag"] for client in clients}
    assert len(etags) == 1
    responses = [
        exchange(client, "get_object", Bucket=BUCKET, Key=KEY, IfMatch=min(etags), Range="bytes=5-9")
        for client in clients
    ]
    assert responses[0] == responses[1]
    assert responses[0][0] == 206


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"Prefix": PREFIX},
        {"Prefix": f"{PREFIX}00000", "MaxKeys": 2},
        {"Prefix": KEY},
        {"Prefix": "other/"},
        {"Delimiter": "/"},
        {"Delimiter": "/", "Prefix": PREFIX},
        {"StartAfter": KEY},
        {"MaxKeys": 5},
    ],
)
def test_the_stand_in_lists_as_s3_does(clients: tuple[Any, Any], params: dict[str, Any]) -> None:
    """Every page of a listing holds the same keys, sizes, ETags and folders."""
    ours, theirs = (
        [
            (
                page["KeyCount"],
                page["IsTruncated"],
                [(found["Key"], found["Size"], found["ETag"]) for found in page.get("Contents", ())],
                [found["Prefix"] for found in page.get("CommonPrefixes", ())],
            )
            for page in client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, **paged(params))
        ]
        for client in clients
    )
    assert ours == theirs


def paged(params: dict[str, Any]) -> dict[str, Any]:
    """Return the parameters as boto3's paginator takes them."""
    given = dict(params)
    if "MaxKeys" in given:
        given["PaginationConfig"] = {"PageSize": given.pop("MaxKeys")}
    return given


def test_bytes_and_requests_are_counted(servers: StandIns) -> None:
    """The source counts its responses by kind, and the bytes of objects that it sent."""
    servers.reset_counts()
    url = f"{servers.source}/{bucket_name(1, 3_000_000)}/{key_name(0)}"
    assert len(requests.get(url, timeout=30).content) == 3_000_000
    assert len(requests.get(url, headers={"Range": "bytes=1-10"}, timeout=30).content) == 10
    assert requests.head(url, timeout=30).status_code == 200
    counts = dict(servers.counts()[0])
    assert counts.pop("ms cpu") >= 0
    assert counts == {"GET object": 2, "HEAD object": 1, "bytes in": 0, "bytes out": 3_000_010}
