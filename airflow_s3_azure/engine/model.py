"""The frozen data that flows through a copy, from the request to the result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

import msgspec

from airflow_s3_azure.engine.blocks import MIB, Block
from airflow_s3_azure.engine.checksums import StoredChecksum, Verified, checksum_type
from airflow_s3_azure.engine.conflicts import Conflict
from airflow_s3_azure.engine.errors import (
    S3ToAzureError,
    SourceArchived,
    SourceChanged,
    SourceNotFound,
    TransferError,
    class_name,
)
from airflow_s3_azure.engine.options import Archived
from airflow_s3_azure.engine.properties import (
    CopyIdentity,
    PreservedProperties,
    SourceRecord,
    metadata_with_record,
)
from airflow_s3_azure.engine.quoting import MAX_TEXT, printable, shorten

Status = Literal["copied", "unchanged", "skipped", "failed"]
"""The outcome for a key."""


def why_gone(version_id: str | None) -> str:
    """Return why a key of a list is skipped that does not exist.

    :param version_id: that was listed; None: the current one
    """
    return f"the bucket has no {'such key' if version_id is None else 'such version of the key'}"


@dataclass(frozen=True, slots=True)
class SourceObject:
    """One version of an S3 object, as S3 describes it.

    :param size: bytes
    :param etag: without quotes
    :param version_id: None in a bucket without versioning
    :param checksum: that S3 stored and that can verify a copy; None: no usable one
    :param md5: of the content, in hexadecimal, if the ETag is known to be it
    :param storage_class: such as ``GLACIER``
    :param is_archived: whether it must be restored before it can be read
    :param preserved: the headers and metadata that are copied to its blob
    :param stored_checksum: that S3 stored, usable or not, see
        :func:`~airflow_s3_azure.engine.checksums.source_checksum`; None: there is none
    """

    key: str
    size: int
    etag: str
    version_id: str | None = None
    last_modified: datetime | None = None
    checksum: StoredChecksum | None = None
    md5: str | None = None
    storage_class: str = "STANDARD"
    is_archived: bool = False
    preserved: PreservedProperties = field(default_factory=PreservedProperties)
    stored_checksum: str | None = None

    def record(self, identity: CopyIdentity, crc64nvme: str | None = None) -> SourceRecord:
        """Return the record of this object for its blob's metadata.

        :param crc64nvme: of the whole content, base64 as S3 writes it; None: unknown
        """
        return SourceRecord(
            self.etag,
            self.size,
            self.version_id,
            self.last_modified,
            self.stored_checksum,
            str(identity),
            crc64nvme,
        )


class BlobState(msgspec.Struct, frozen=True, gc=False):
    """A committed blob, as Azure describes it. A struct, as :class:`SourceRecord` is.

    :param etag: Azure's, with its quotes
    :param size: bytes
    :param record: of the source it was copied from; None: another tool wrote it
    :param conflict: why no copy can overwrite it; None: one can. A directory, which is no blob, has its conflict
    """

    etag: str
    size: int
    last_modified: datetime | None = None
    record: SourceRecord | None = None
    conflict: Conflict | None = None

    def is_copy_of(self, etag: str, size: int, identity: CopyIdentity) -> bool:
        """Return whether, by its record, the blob is this copy of the object with this ETag (unquoted) and size."""
        record = self.record
        return (
            record is not None and self.size == size and record.is_same_content(etag, size) and record.is_of(identity)
        )


@dataclass(frozen=True, slots=True)
class Precondition:
    """The state in which the destination must still be when a copy is committed.

    :param etag: the blob must still have this ETag; None: there must be no such blob
    """

    etag: str | None

    def headers(self) -> dict[str, str]:
        """Return the HTTP headers that make Azure check it."""
        return {"if-none-match": "*"} if self.etag is None else {"if-match": self.etag}


@dataclass(frozen=True, slots=True)
class CopyRequest:
    """One object to copy to one blob.

    :param key: S3 key
    :param blob: blob name, already checked against Azure's rules
    :param size: bytes, from a listing; None: HEAD first
    :param etag: without quotes, from a listing; None: HEAD first. An object that has another one is not copied
    :param version_id: a version to copy instead of the current one
    :param precondition: from a listing of the destination; None: HEAD the blob first
    :param head_first: HEAD the blob first: an earlier try may have copied it since the listing
    :param reason: why it is copied, for the result
    :param is_archived: whether it was archived when it was planned: it is restored first
    :param conflict: why the blob could not be overwritten when it was planned
    :param replace_archived: with the option ``overwrite_archived``: an archived blob of this name may be deleted and replaced
    :param adopt: compare the content of the blob that is there with S3's checksum first, and copy only if it differs; see
        :mod:`airflow_s3_azure.engine.adoption`
    :param from_key_list: size and ETag are from a list of keys, which may be older than the object. A key that does not
        exist is skipped, and an object that has changed is copied as it is now
    """

    key: str
    blob: str
    size: int | None = None
    etag: str | None = None
    version_id: str | None = None
    precondition: Precondition | None = None
    head_first: bool = False
    reason: str | None = None
    adopt: bool = False
    from_key_list: bool = False
    is_archived: bool = False
    conflict: Conflict | None = None
    replace_archived: bool = False

    def has_changed(self, source: SourceObject) -> bool:
        """Return whether the object of a key list is not the listed one.

        :raises SourceChanged: if another plan's object is not the planned one
        """
        planned, found = (self.size, self.etag), (source.size, source.etag)
        if all(want in (None, have) for want, have in zip(planned, found, strict=True)):
            return False
        if self.from_key_list:
            return True
        raise SourceChanged(
            f"planned with (size, ETag) {planned}, but S3 has {found} now; try again to copy the new version"
        )

    def why_skipped(self, error: TransferError, *, archived: Archived) -> str | None:
        """Return why a copy that ended in ``error`` is skipped; None if it failed.

        :param archived: what becomes of archived objects
        """
        if isinstance(error, SourceArchived) and archived == "skip":
            return "archived: it must be restored before it can be read"
        is_gone = self.from_key_list and isinstance(error, SourceNotFound) and error.bucket_exists
        return why_gone(self.version_id) if is_gone else None


@dataclass(frozen=True, slots=True)
class CopyResult:
    """The result of one :class:`CopyRequest`.

    :param size: bytes of the object; None if the copy failed before it was known
    :param blocks: blocks of the blob; 0 if it was put whole or not at all
    :param resumed_blocks: how many of them were already staged when the copy began
    :param etag: the source's, without quotes
    :param blob_etag: Azure's, of the committed blob
    :param verified: what the content was verified by; None unless copied
    :param crc64nvme: of the blob's content, base64 as S3 writes it; of an unchanged blob, from its record
    :param source_checksum: that S3 stored, see :func:`~airflow_s3_azure.engine.checksums.source_checksum`
    :param bytes_read: bytes read from S3 by this execution, including repeated reads
    :param retries: requests that were sent again
    :param seconds: from the first request to the last
    :param reason: why it was skipped, or, from the request, why it was copied
    :param error: why it failed
    :param archived: whether it was skipped because the object is archived
    """

    key: str
    blob: str
    status: Status
    size: int | None = None
    blocks: int = 0
    resumed_blocks: int = 0
    etag: str | None = None
    version_id: str | None = None
    blob_etag: str | None = None
    verified: Verified | None = None
    crc64nvme: str | None = None
    source_checksum: str | None = None
    bytes_read: int = 0
    retries: int = 0
    seconds: float = 0.0
    reason: str | None = None
    error: S3ToAzureError | None = None
    archived: bool = False

    def as_json(self) -> dict[str, str | int | float | None]:
        """Return the result as the ledger and XCom hold it."""
        copied = self.status == "copied" and self.size is not None and self.seconds > 0
        return {
            "key": self.key,
            "blob": self.blob,
            "status": self.status,
            "size": self.size,
            "blocks": self.blocks,
            "resumed_blocks": self.resumed_blocks,
            "etag": self.etag,
            "version_id": self.version_id,
            "blob_etag": self.blob_etag,
            "verified": self.verified,
            "crc64nvme": self.crc64nvme,
            "source_checksum": self.source_checksum,
            "source_checksum_type": checksum_type(self.source_checksum),
            "bytes_read": self.bytes_read,
            "retries": self.retries,
            "seconds": round(self.seconds, 3),
            "mib_per_second": round((self.size or 0) / MIB / self.seconds, 2) if copied else None,
            "reason": None if self.reason is None else printable(self.reason, MAX_TEXT),
            "error": None if self.error is None else shorten(f"{class_name(self.error)}: {self.error}", MAX_TEXT),
            "error_class": None if self.error is None else class_name(self.error),
            "retryable": None if self.error is None else self.error.retryable,
            "archived": self.archived,
        }


@dataclass(frozen=True, slots=True)
class Finished:
    """The copy ended when it began: the object is small, needs no copy, or had all its blocks staged."""

    result: CopyResult


@dataclass(frozen=True, slots=True)
class Blocks:
    """The copy needs its missing blocks copied, then a commit.

    :param missing: in order; at least one
    """

    missing: list[Block]


@dataclass(frozen=True, slots=True)
class StagedBlock:
    """An uncommitted block that Azure holds for a blob.

    :param name: the block ID, decoded from base64
    :param size: bytes
    """

    name: bytes
    size: int


@dataclass(frozen=True, slots=True)
class BlobContent:
    """The properties with which a blob is committed.

    :param headers: content headers by lower-case HTTP name
    :param tags: blob index tags
    :param access_tier: such as ``Cool``; None: the account's default
    """

    headers: Mapping[str, str]
    metadata: Mapping[str, str]
    tags: Mapping[str, str] = field(default_factory=dict)
    access_tier: str | None = None

    @classmethod
    def of(
        cls,
        source: SourceObject,
        identity: CopyIdentity,
        crc64nvme: str | None = None,
        *,
        tags: Mapping[str, str] | None = None,
        access_tier: str | None = None,
    ) -> BlobContent:
        """Return the properties of a copy of ``source``: preserved headers, user metadata, record.

        :param crc64nvme: of the whole content, base64 as S3 writes it; None: unknown
        """
        metadata = metadata_with_record(source.preserved.metadata, source.record(identity, crc64nvme))
        return cls(source.preserved.headers, metadata, tags or {}, access_tier)
