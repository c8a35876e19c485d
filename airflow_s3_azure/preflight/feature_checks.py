"""The checks of what only some copies use: tags, tiers, names of a hierarchy, server-side copy, idle connections."""

from __future__ import annotations

from airflow_s3_azure.engine.azure.source_range import SourceConditionUnsupported, SourceRange
from airflow_s3_azure.engine.blocks import Block
from airflow_s3_azure.engine.errors import DestinationConflict
from airflow_s3_azure.engine.model import BlobContent, Precondition
from airflow_s3_azure.engine.server_side.reachability import check_reachable
from airflow_s3_azure.preflight.check import Check
from airflow_s3_azure.preflight.finding import CONTAINERS, Finding, Permission, amber, green, skipped
from airflow_s3_azure.preflight.subject import Exchanges, Subject
from airflow_s3_azure.preflight.write_checks import ABSENT, describe, put, refusal

IDLE_SECONDS = (0.0, 6.0, 30.0)
"""How long the connections are idle, one time after the other."""
_SERVER_SIDE = 4 * 1024
"""Bytes that Azure reads."""
_NOT_REMOVED = "the blob could not be removed afterwards"


def _tags(subject: Subject) -> Finding:
    tagged = BlobContent({}, {}, {"preflight": "tag value"})
    subject.etag = put(subject, subject.blob, Precondition(subject.etag), tagged)
    subject.blobs.head(subject.blob)
    count = subject.azure.last.headers.get("x-ms-tag-count")
    if count != "1":
        return amber(f"the blob has {count or 'no'} tags, not 1", "copy_tags does not reach the blobs")
    return green("a blob was written with a tag")


def _tiers(subject: Subject) -> Finding:
    if not subject.can_delete:
        return skipped(_NOT_REMOVED)
    blob = subject.workspace.blob("tier")
    cool = put(subject, blob, ABSENT, BlobContent({}, {}, access_tier="Cool"))
    archived = put(subject, blob, Precondition(cool), BlobContent({}, {}, access_tier="Archive"))
    refused = refusal(subject, lambda: put(subject, blob, Precondition(archived)))
    if refused is None:
        return amber("a blob in the archive tier was overwritten", "the account does not archive as Azure does")
    return green(f"Cool was overwritten; Archive was not: {describe(refused)}")


def _names(subject: Subject) -> Finding:
    if not subject.can_delete:
        return skipped(_NOT_REMOVED)
    put(subject, subject.workspace.blob("name"), ABSENT)
    try:
        put(subject, subject.workspace.blob("name/below"), ABSENT)
    except DestinationConflict as error:
        return amber(
            f"a was written, and then a/b was refused ({error.message.partition(':')[0]})",
            "of a key and a key below it, such as a and a/b, only one is copied; the other fails, and is in the ledger",
        )
    return green("a was written, and then a/b")


def _server_side(subject: Subject) -> Finding:
    found = subject.found
    if found is None or not found.size:
        return skipped("there is no object with content to read")
    check_reachable(subject.source.endpoint(), subject.blobs.url)
    block, ids = Block(0, 0, min(found.size, _SERVER_SIDE)), ("preflight-server-0", "preflight-server-1")
    blob = subject.workspace.blob("server-side") if subject.can_delete else subject.blob
    crc64 = subject.blobs.stage_from_url(blob, ids[0], SourceRange(subject.source.readable_url(found), None, block))
    notes = ["with a CRC-64" if crc64 is not None else "without a CRC-64"]
    try:
        subject.blobs.stage_from_url(blob, ids[1], SourceRange(subject.source.readable_url(found), found.etag, block))
    except SourceConditionUnsupported:
        return amber(
            f"Azure read {block.size:,} bytes {notes[0]}, but takes no condition on the source's ETag",
            "mode='server_side' checks the source by a HEAD before the commit instead",
        )
    return green(f"Azure read {block.size:,} bytes {notes[0]}, with and without a condition on the source's ETag")


def _idle(subject: Subject) -> Finding:
    texts = []
    for seconds in IDLE_SECONDS:
        subject.cancellation.sleep(seconds)
        kept = []
        count = subject.s3.count
        subject.source.list_page({"Prefix": subject.options.s3_prefix, "MaxKeys": 1})
        kept.append(f"S3 {_state(subject.s3, count)}")
        count = subject.azure.count
        subject.blobs.list_page({"maxresults": "1"})
        kept.append(f"Azure {_state(subject.azure, count)}")
        texts.append(f"after {seconds:.0f} s: {', '.join(kept)}")
    return green("; ".join(texts))


def _state(exchanges: Exchanges, count: int) -> str:
    return "reused" if exchanges.since(count)[0].is_reused else "opened again"


FEATURE_CHECKS = (
    Check(
        "azure-tags",
        "Azure",
        "blobs may be written with index tags (copy_tags)",
        _tags,
        permission=Permission(f"{CONTAINERS}/blobs/tags/write", "t"),
        consequence="copy_tags=True fails",
        needs=("azure-put",),
    ),
    Check(
        "azure-tiers",
        "Azure",
        "blobs may be written to a tier (access_tier), and an archived blob is not overwritten",
        _tiers,
        permission=Permission(f"{CONTAINERS}/blobs/write", "cw"),
        consequence="access_tier fails",
        needs=("azure-put",),
    ),
    Check(
        "azure-names",
        "Azure",
        "a and a/b can both be blobs, as they can both be keys",
        _names,
        permission=Permission(f"{CONTAINERS}/blobs/write", "cw"),
        consequence="of a key and a key below it only one is copied",
        needs=("azure-put",),
    ),
    Check(
        "server-side",
        "S3 and Azure",
        "Azure reads 4 KiB from S3 by a presigned URL, with and without a condition (mode='server_side')",
        _server_side,
        consequence="mode='server_side' fails; use mode='stream'",
        needs=("s3-range", "azure-put"),
    ),
    Check(
        "idle-connections",
        "S3 and Azure",
        "a connection that was idle for 0, 6 and 30 s serves the next request, or is opened again at once",
        _idle,
        consequence="a firewall or NAT gateway drops idle connections silently, so requests wait for a timeout",
        needs=("s3-list", "azure-list"),
    ),
)
