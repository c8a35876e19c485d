"""The checks of S3: it is read as a copy reads it."""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from airflow_s3_azure.engine.blocks import Block
from airflow_s3_azure.engine.checksums import compute, s3_text
from airflow_s3_azure.engine.errors import SourceChanged
from airflow_s3_azure.engine.progress import count_text, size_text
from airflow_s3_azure.engine.quoting import get_logger
from airflow_s3_azure.engine.s3.bucket_names import is_directory_bucket, is_multi_region_access_point
from airflow_s3_azure.preflight.check import Check
from airflow_s3_azure.preflight.connection_checks import clock, tls
from airflow_s3_azure.preflight.finding import Finding, Permission, amber, green, red, skipped
from airflow_s3_azure.preflight.subject import Subject
from airflow_s3_azure.sync.object_page import read_objects

log = get_logger(__name__)

MAX_READ = 64 * 1024
"""Bytes of an object that are read at most."""
DIFFICULT = "+ ~ %2F //\U0001f600"
"""The end of a key that libraries sign or quote in different ways."""
_DIFFICULT_PARTS = ("+", "~", "%", "//", "\U0001f600")
_CONTENT = b"s3-to-azure preflight"
_ARCHIVED = ("GLACIER", "DEEP_ARCHIVE")
_READ = Permission("s3:GetObject")
_LIST = Permission("s3:ListBucket")


def _open(subject: Subject) -> Finding:
    subject.bucket = subject.open_bucket(subject.s3)
    return green(f"s3://{subject.source.bucket} through {subject.source.connection}")


def _tls(subject: Subject) -> Finding:
    return tls(subject.s3, subject.source.head_bucket)


def _clock(subject: Subject) -> Finding:
    return clock(subject.s3, "S3")


def _bucket(subject: Subject) -> Finding:
    exchange, name = subject.s3.last, subject.source.bucket
    region = exchange.headers.get("x-amz-bucket-region")
    host = urlsplit(exchange.origin).hostname or ""
    if exchange.status not in (200, 403):
        subject.source.head_bucket()  # raises the error that names the region, the missing bucket, or another cause
    if is_directory_bucket(name):
        kind = "directory bucket, whose listings are sorted through the container"
    elif is_multi_region_access_point(name):
        kind = "Multi-Region Access Point"
    elif host.endswith((".amazonaws.com", ".amazonaws.com.cn")):
        kind = "access point" if name.startswith("arn:") else "general purpose bucket"
    else:
        kind = f"bucket of an S3-compatible store at {host}"
    # A policy whose condition names a prefix allows no HeadBucket, and no copy needs it.
    note = "; HeadBucket is refused, and no copy needs it" if exchange.status == 403 else ""
    return green(f"{kind}, region {region or 'not reported'}{note}")


def _list(subject: Subject) -> Finding:
    options = subject.options
    page = read_objects(subject.source.list_page({"Prefix": options.s3_prefix, "EncodingType": "url"}))
    readable = [one.key for one in page.entries if one.size and one.storage_class not in _ARCHIVED]
    subject.candidate = options.s3_key or (readable[0] if readable else "")
    found = f"{count_text(len(page.entries), 'object')} on the first page below {options.s3_prefix!r}"
    if not subject.candidate:
        return amber(
            found, "no object can be read: the checks of reading are not run; give s3_key, or another s3_prefix"
        )
    return green(found)


def _head(subject: Subject) -> Finding:
    key = subject.candidate or subject.options.s3_key
    if not key:
        return skipped("there is no object to read")
    found = subject.found = subject.source.head(key)
    detail = f"{key!r}: {size_text(found.size)}, checksum {found.stored_checksum or 'none'}"
    if found.is_archived:
        subject.found = None
        return amber(f"{detail}, archived", "it must be restored before it can be read; give another s3_key")
    if found.checksum is None:
        return amber(
            detail, "copies of such objects are verified block by block only, and verify='require' refuses them"
        )
    return green(detail)


def _range(subject: Subject) -> Finding:
    found = subject.found
    if found is None or not found.size:
        return skipped("there is no object with content to read")
    block = Block(0, 0, min(found.size, MAX_READ))
    subject.source.read(found, block, memoryview(bytearray(block.size)), _ignore)
    status = subject.s3.last.status
    try:
        other = replace(found, etag="0" * 32)
        subject.source.read(other, block, memoryview(bytearray(block.size)), _ignore)
    except SourceChanged:
        refused = subject.s3.last.status
    else:
        return red("another ETag was accepted, so a source that changes during a copy would not be noticed")
    if refused != 412:
        return amber(
            f"{status} with the object's ETag, {refused} with another one",
            "the store ignores If-Match; a changed source is found by the ETag of each response instead",
        )
    return green(f"{size_text(block.size)}: {status} with the object's ETag, {refused} with another one")


def _key(subject: Subject) -> Finding:
    given = subject.options.s3_key
    if not subject.options.write_source:
        if any(one in given for one in _DIFFICULT_PARTS) and subject.found is not None:
            return green(f"the given key {given!r} was read")
        return skipped("it would write to the bucket: set write_source, or give s3_key with such characters")
    assert subject.bucket is not None
    client: Any = subject.bucket.client
    name = subject.source.bucket
    key = f"{subject.options.s3_prefix}s3-to-azure-preflight-{secrets.token_hex(6)}/{DIFFICULT}"
    crc64 = s3_text("CRC64NVME", compute("CRC64NVME", memoryview(_CONTENT)))
    try:
        # With its checksum, or botocore would send it in chunks, which not every store takes.
        client.put_object(Bucket=name, Key=key, Body=_CONTENT, ChecksumCRC64NVME=crc64)
    except Exception as error:
        return amber(
            f"the object could not be written ({type(error).__name__})",
            "no difficult key was read; to write one needs s3:PutObject and s3:DeleteObject",
        )
    try:
        found, content = subject.source.head(key), bytearray(len(_CONTENT))
        subject.source.read(found, Block(0, 0, len(_CONTENT)), memoryview(content), _ignore)
        listed = read_objects(subject.source.list_page({"Prefix": key, "EncodingType": "url"})).names
    finally:
        is_deleted = _deletes(client, name, key)
    if compute("CRC64NVME", memoryview(content)) != compute("CRC64NVME", memoryview(_CONTENT)) or listed != [key]:
        return red(f"{key!r} is not listed, or not read, as it was written")
    if not is_deleted:
        return amber(f"{key!r} was written, listed and read, but not deleted", "it stays: delete it by hand")
    return green(f"{key!r} was written, listed, read and deleted")


def _deletes(client: Any, bucket: str, key: str) -> bool:
    """Delete an object; return whether that succeeded."""
    try:
        client.delete_object(Bucket=bucket, Key=key)
    except Exception as error:
        log.warning("object %r of the preflight could not be deleted: %s", key, type(error).__name__)
        return False
    return True


def _ignore(_: int) -> None:
    """Count nothing."""


SOURCE_CHECKS = (
    Check(
        "s3-connection",
        "S3",
        "the AWS connection exists and has credentials, and the guardrails allow the source",
        _open,
        remedy="correct the connection (Admin → Connections), or the bucket",
    ),
    Check(
        "s3-tls",
        "S3",
        "S3 responds over TLS with a certificate that is verified",
        _tls,
        remedy="allow this worker's network to reach the host; for a private certificate authority set verify in the "
        "connection's extra to its bundle",
        needs=("s3-connection",),
    ),
    Check(
        "s3-clock",
        "S3",
        "the clock of this worker and that of S3 agree, so that presigned URLs are valid",
        _clock,
        remedy="synchronize the clock of this worker (NTP)",
        needs=("s3-tls",),
    ),
    Check(
        "s3-bucket",
        "S3",
        "the bucket exists, and requests go to its region",
        _bucket,
        permission=_LIST,
        remedy="check the bucket, and region_name and endpoint_url of the connection",
        needs=("s3-tls",),
    ),
    Check(
        "s3-list",
        "S3",
        "the prefix can be listed",
        _list,
        permission=_LIST,
        remedy="allow s3:ListBucket on the bucket, for this prefix",
        needs=("s3-tls",),
    ),
    Check(
        "s3-head",
        "S3",
        "a presigned HEAD returns size, ETag and the checksum that S3 stored",
        _head,
        permission=_READ,
        remedy="allow s3:GetObject on the keys, also through presigned URLs",
        needs=("s3-tls",),
    ),
    Check(
        "s3-range",
        "S3",
        "a ranged GET is pinned to one version: 206 with its ETag, 412 with another one",
        _range,
        permission=_READ,
        remedy="allow s3:GetObject on the keys and, for SSE-KMS, kms:Decrypt; an endpoint or a proxy must honor Range",
        needs=("s3-head",),
    ),
    Check(
        "s3-key",
        "S3",
        "a key with +, ~, %2F, // and an emoji is signed, listed and read as it is",
        _key,
        permission=Permission("s3:PutObject"),
        remedy="connect to S3 without the proxy that rewrites paths",
        needs=("s3-head",),
    ),
)
