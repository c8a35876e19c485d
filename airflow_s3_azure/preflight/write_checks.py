"""The checks that write to one blob, as a copy does: Put Blob, Put Block, and the conditions of commits."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from airflow_s3_azure.engine.checksums import azure_text, compute
from airflow_s3_azure.engine.errors import DestinationAccessDenied, TransferError
from airflow_s3_azure.engine.http.observer import Exchange
from airflow_s3_azure.engine.model import BlobContent, Precondition
from airflow_s3_azure.engine.properties import PreservedProperties
from airflow_s3_azure.preflight.check import Check
from airflow_s3_azure.preflight.finding import CONTAINERS, Finding, Permission, amber, green, red, skipped
from airflow_s3_azure.preflight.subject import Subject

SMALL = 1024
"""Bytes of a blob."""
CONCURRENT = 32
BLOCK = 16 * 1024
"""Bytes of each concurrent block."""
REJECTED = 8 * 1024 * 1024
"""Bytes of the block that Azure rejects."""
TOO_LONG = 65
"""Bytes of a block ID; Azure accepts 64."""
ABSENT = Precondition(None)
PLAIN = BlobContent({}, {})
_WRITE = Permission(f"{CONTAINERS}/blobs/write", "cw")
_ALLOW_WRITE = "assign the role Storage Blob Data Contributor on the container, or a SAS with racwl"
_BLOCK_ID = "preflight-{:06d}"
_DISPOSITION = 'attachment; filename="na\u00efve \u20ac.txt"'


def put(subject: Subject, blob: str, condition: Precondition, content: BlobContent = PLAIN) -> str:
    """Put a small blob, and return its ETag."""
    data = memoryview(secrets.token_bytes(SMALL))
    return subject.blobs.put(blob, data, compute("CRC64NVME", data), content, condition)


def refusal(subject: Subject, request: Callable[[], object]) -> Exchange | None:
    """Return the first error response to a request that Azure should refuse; None: it did not.

    :raises TransferError: if the request failed without a response, or for a missing permission
    """
    count = subject.azure.count
    try:
        request()
    except DestinationAccessDenied:
        raise
    except TransferError:
        refused = [one for one in subject.azure.since(count) if one.status >= 400]
        if not refused:
            raise
        return refused[0]
    return None


def describe(exchange: Exchange) -> str:
    """Return the status and the error code of a response."""
    return f"{exchange.status} {exchange.headers.get('x-ms-error-code') or ''}".rstrip()


def _put(subject: Subject) -> Finding:
    if subject.is_protected:
        return skipped("a policy of the container would keep the blob")
    subject.etag = put(subject, subject.blob, ABSENT)
    found = subject.azure.last.headers
    versions = (
        ", and keeps versions: an overwritten blob stays, and costs storage" if "x-ms-version-id" in found else ""
    )
    if found.get("x-ms-content-crc64") is None:
        return amber(
            f"201, without a CRC-64{versions}", "what Azure received is only verified against the CRC-64 that is sent"
        )
    return green(f"201, with the CRC-64 that was sent{versions}")


def _delete(subject: Subject) -> Finding:
    subject.blobs.delete(subject.blob, subject.etag)
    subject.can_delete = True
    subject.etag = put(subject, subject.blob, ABSENT)
    return green("the blob was deleted, and written again")


def _wrong_crc(subject: Subject) -> Finding:
    data = memoryview(secrets.token_bytes(SMALL))
    wrong = compute("CRC64NVME", data) ^ 1
    refused = refusal(subject, lambda: subject.blobs.put(subject.blob, data, wrong, PLAIN, Precondition(subject.etag)))
    if refused is None or refused.headers.get("x-ms-error-code") != "Crc64Mismatch":
        return red(
            f"{'201' if refused is None else describe(refused)} for a CRC-64 of {azure_text(wrong)}, which is wrong"
        )
    return green(describe(refused))


def _create_only(subject: Subject) -> Finding:
    refused = refusal(subject, lambda: put(subject, subject.blob, ABSENT))
    if refused is None or refused.status not in (409, 412):
        return red("a blob that exists was overwritten, although the request had If-None-Match: *")
    return green(describe(refused))


def _rejected_block(subject: Subject) -> Finding:
    data = memoryview(bytes(REJECTED))
    crc64 = compute("CRC64NVME", data)
    refused = refusal(subject, lambda: subject.blobs.stage(subject.blob, "x" * TOO_LONG, data, crc64))
    if refused is None:
        return amber(f"a block ID of {TOO_LONG} bytes was accepted", "an early response was not tested")
    return green(f"{describe(refused)} was read, over {refused.tls_version or 'plain HTTP'}")


def _concurrent(subject: Subject) -> Finding:
    data = memoryview(secrets.token_bytes(BLOCK))
    crc64 = compute("CRC64NVME", data)

    def stage(number: int) -> None:
        subject.blobs.stage(subject.blob, _BLOCK_ID.format(number), data, crc64)

    with ThreadPoolExecutor(CONCURRENT) as pool:
        list(pool.map(stage, range(CONCURRENT)))
    staged = {one.name.decode(): one.size for one in subject.blobs.staged(subject.blob)}
    missing = [number for number in range(CONCURRENT) if staged.get(_BLOCK_ID.format(number)) != BLOCK]
    if missing:
        return red(f"{len(missing)} of {CONCURRENT} blocks are not staged, although Azure returned 201 for each")
    return green(f"{CONCURRENT} blocks were staged at the same time")


def _block_id_length(subject: Subject) -> Finding:
    data = memoryview(b"preflight")
    crc64 = compute("CRC64NVME", data)
    refused = refusal(subject, lambda: subject.blobs.stage(subject.blob, "shorter", data, crc64))
    if refused is None:
        return amber("a block ID of another length was accepted", "blocks of other tools are not noticed early")
    return green(describe(refused))


def _commits(subject: Subject) -> Finding:
    blobs, blob, ids = subject.blobs, subject.blob, [_BLOCK_ID.format(number) for number in range(CONCURRENT)]
    old, current = Precondition('"0x8D0000000000000"'), Precondition(subject.etag)
    expected = {
        "an unknown block": (lambda: blobs.commit(blob, [_BLOCK_ID.format(999_999)], PLAIN, current), (400,)),
        "If-None-Match: *": (lambda: blobs.commit(blob, ids, PLAIN, ABSENT), (409, 412)),
        "an old If-Match": (lambda: blobs.commit(blob, ids, PLAIN, old), (412,)),
    }
    texts = []
    for name, (commit, statuses) in expected.items():
        refused = refusal(subject, commit)
        if refused is None or refused.status not in statuses:
            return red(
                f"{name}: {'201' if refused is None else describe(refused)}, so the blob may be overwritten wrongly"
            )
        texts.append(f"{name}: {describe(refused)}")
    subject.etag = blobs.commit(blob, ids, PLAIN, current)
    return green("; ".join([*texts, "the current If-Match: 201"]))


def _metadata(subject: Subject) -> Finding:
    # As S3 sends it: UTF-8 in the bytes of a header.
    disposition = _DISPOSITION.encode().decode("latin-1")
    kept = PreservedProperties.from_s3({"content-disposition": disposition, "x-amz-meta-empty": ""})
    subject.etag = put(subject, subject.blob, Precondition(subject.etag), BlobContent(kept.headers, kept.metadata))
    found = subject.blobs.head_with_metadata(subject.blob)
    returned = subject.azure.last.headers.get("content-disposition")
    metadata = {} if found is None else found[1]
    lost = [name for name, value in kept.metadata.items() if metadata.get(name) != value]
    lost += ["Content-Disposition"] if returned != kept.headers["content-disposition"] else []
    if lost:
        return amber(f"changed or dropped: {', '.join(lost)}", "these properties of objects do not reach their blobs")
    return green("an empty value and a non-ASCII Content-Disposition came back as they were")


WRITE_CHECKS = (
    Check(
        "azure-put",
        "Azure",
        "Put Blob returns 201 and the CRC-64 that Azure computed",
        _put,
        permission=_WRITE,
        remedy=_ALLOW_WRITE,
        needs=("azure-tls",),
    ),
    Check(
        "azure-delete",
        "Azure",
        "blobs may be deleted",
        _delete,
        permission=Permission(f"{CONTAINERS}/blobs/delete", "d"),
        consequence="no delete='extra' and no discard_foreign_blocks; the preflight leaves one small blob behind",
        needs=("azure-put",),
    ),
    Check(
        "azure-wrong-crc",
        "Azure",
        "content with a wrong CRC-64 is refused: 400 Crc64Mismatch",
        _wrong_crc,
        permission=_WRITE,
        remedy="connect to Azure without the proxy that removes x-ms-content-crc64",
        needs=("azure-put",),
    ),
    Check(
        "azure-create-only",
        "Azure",
        "a blob that exists is not overwritten by a request with If-None-Match: *",
        _create_only,
        permission=_WRITE,
        remedy="connect to Azure without the proxy that removes If-None-Match",
        needs=("azure-put",),
    ),
    Check(
        "azure-rejected-block",
        "Azure",
        "the response to a block of 8 MiB that Azure rejects is read",
        _rejected_block,
        permission=_WRITE,
        remedy="a proxy or firewall closes the connection without the response of Azure: connect without it",
        needs=("azure-put",),
    ),
    Check(
        "azure-concurrent-blocks",
        "Azure",
        "32 blocks of one blob are staged at the same time",
        _concurrent,
        permission=_WRITE,
        remedy="raise the limit of connections of the proxy or the NAT gateway, or lower max_concurrency",
        needs=("azure-put",),
    ),
    Check(
        "azure-block-id-length",
        "Azure",
        "a block ID of another length is refused, so blocks of another tool are noticed",
        _block_id_length,
        permission=_WRITE,
        needs=("azure-concurrent-blocks",),
    ),
    Check(
        "azure-commits",
        "Azure",
        "a commit with If-None-Match: *, with an old If-Match or with an unknown block changes nothing",
        _commits,
        permission=_WRITE,
        remedy="connect to Azure without the proxy that removes conditions",
        needs=("azure-concurrent-blocks",),
    ),
    Check(
        "azure-metadata",
        "Azure",
        "an empty metadata value and a non-ASCII Content-Disposition are kept",
        _metadata,
        permission=_WRITE,
        consequence="objects with such properties fail",
        needs=("azure-put",),
    ),
)
