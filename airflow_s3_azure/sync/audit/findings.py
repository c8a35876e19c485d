"""What an audit finds of one blob, from the listing alone. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

from airflow_s3_azure.engine.model import BlobState
from airflow_s3_azure.engine.properties import SourceRecord
from airflow_s3_azure.sync.audit.expectations import Expected

Finding = Literal["intact", "changed", "missing", "unknown"]
"""``intact``: as recorded; ``unknown``: it cannot be compared, or cannot be read."""
FINDINGS: tuple[Finding, ...] = ("intact", "changed", "missing", "unknown")


@dataclass(frozen=True, slots=True)
class AuditedBlob:
    """The result of one blob.

    :param compared: with what it was compared: the ``listing``, or the ``content`` that was read back as well
    :param reason: why it is not intact
    :param found: the blob as it was listed; None: it is missing
    :param found_crc64nvme: of the content that was read
    :param bytes_read: from Azure
    """

    blob: str
    expected: Expected
    found: BlobState | None
    status: Finding
    reason: str | None = None
    compared: Literal["listing", "content"] = "listing"
    found_crc64nvme: str | None = None
    bytes_read: int = 0

    def ended(self, status: Finding, reason: str | None, crc64nvme: str | None, bytes_read: int) -> AuditedBlob:
        """Return the result after the content was read, or could not be."""
        return replace(
            self,
            status=status,
            reason=reason,
            compared="content",
            found_crc64nvme=crc64nvme,
            bytes_read=bytes_read,
        )

    def as_json(self) -> dict[str, Any]:
        """Return the row of the audit's ledger."""
        expected, found = self.expected, self.found
        record = found.record if found else None
        return {
            "blob": self.blob,
            "key": expected.key,
            "status": self.status,
            "reason": self.reason,
            "compared": self.compared,
            "expected_size": expected.size,
            "found_size": found.size if found else None,
            "expected_blob_etag": expected.blob_etag,
            "found_blob_etag": found.etag if found else None,
            "expected_etag": expected.etag,
            "found_etag": record.etag if record else None,
            "expected_crc64nvme": expected.crc64nvme,
            "found_crc64nvme": self.found_crc64nvme,
            "bytes_read": self.bytes_read,
        }


def compare_listed(name: str, expected: Expected, found: BlobState | None) -> AuditedBlob:
    """Return whether a blob is as recorded, by the listing: its size, its ETag and its record."""
    if expected.error is not None:
        return AuditedBlob(name, expected, found, "unknown", expected.error)
    if found is None:
        return AuditedBlob(name, expected, None, "missing", "there is no blob of this name")
    differences = _differences(name, expected, found)
    if differences:
        return AuditedBlob(name, expected, found, "changed", ", ".join(differences))
    return AuditedBlob(name, expected, found, "intact")


def _differences(name: str, expected: Expected, found: BlobState) -> list[str]:
    differences = []
    if expected.size is not None and found.size != expected.size:
        differences.append("another size")
    if expected.blob_etag is not None and found.etag != expected.blob_etag:
        differences.append("another ETag: its content, properties or metadata were written again")
    if found.record is not None:
        differences += _record_differences(name, expected, found.record)
    elif expected.status == "copied":
        differences.append("no record of its source")
    return differences


def _record_differences(name: str, expected: Expected, record: SourceRecord) -> list[str]:
    differences = []
    bucket = (record.identity or "").rsplit("/", 2)[0]
    if record.identity is not None and not record.is_owned(bucket, name):
        differences.append("its record is that of another blob")
    if (record.etag, record.size) != (expected.etag or record.etag, expected.size):
        differences.append("its record names another version of the object")
    if None not in (expected.crc64nvme, record.crc64nvme) and expected.crc64nvme != record.crc64nvme:
        differences.append("its record names another CRC-64")
    return differences
