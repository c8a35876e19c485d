"""Headers and metadata that are preserved from object to blob, and the blob's record of its source.

Azure's metadata names are C# identifiers, S3's are nearly any header name. In a name that Azure rejects, each invalid
character becomes ``_``; a ``_`` is put before a leading digit, and a number after a name that is taken. The original names
are stored as one JSON object in the metadata ``s3_source_metadata_names``, so that the mapping can be reversed:
``x-amz-meta-team-name: etl`` becomes ``team_name: etl`` with ``s3_source_metadata_names: {"team_name": "team-name"}``.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.charset import Charset
from email.utils import format_datetime, parsedate_to_datetime

import msgspec

from airflow_s3_azure.engine.checksums import read_crc64, read_source_checksum

RECORD_PREFIX = "s3_source_"
"""Metadata names that begin with it are the package's own; user metadata with this prefix is renamed."""

SIZE = "[0-9]{1,18}"
"""A size in bytes. Anyone may write a blob's metadata, and Python refuses to read a number of more than 4,300 digits."""

MAX_METADATA = 8 * 1024
"""Bytes of a blob's metadata, names and values together."""

_NAMES = f"{RECORD_PREFIX}metadata_names"
_ETAG, _SIZE, _VERSION_ID, _LAST_MODIFIED, _CHECKSUM, _IDENTITY, _CRC64 = (
    RECORD_PREFIX + name
    for name in ("etag", "size", "version_id", "last_modified", "checksum", "identity", "crc64nvme")
)
_VALID_SIZE = re.compile(SIZE)
_DISPENSABLE = (_CHECKSUM, _CRC64)
"""What is left out of a record that exceeds the limit, in this order. The ledger has both."""
_CONTENT_HEADERS = ("content-type", "content-encoding", "content-language", "content-disposition", "cache-control")
_META_HEADER = "x-amz-meta-"
_CONTROL = re.compile(r"[\x00-\x1f\x7f]+")
_UTF_8 = Charset("utf-8")
_MONTHS = {
    name: f"{number:02}"
    for number, name in enumerate(
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"], start=1
    )
}


class CopyIdentity(msgspec.Struct, frozen=True, gc=False):
    """The source and the destination of a copy: an object of a bucket, copied to one blob.

    A blob's record holds it as text. A blob that was copied by hand, together with its metadata, has another name; so it
    is not mistaken for a copy of this package. Keys and names are hashed: metadata is ASCII, 8 KiB in total.
    """

    bucket: str
    key: str
    blob: str

    def __str__(self) -> str:
        of_key = _digest(self.key)
        return f"{self.bucket}/{of_key}/{of_key if self.blob == self.key else _digest(self.blob)}"


class SourceRecord(msgspec.Struct, frozen=True, eq=False, gc=False):
    """The version of the object that a blob is a copy of, from the blob's metadata.

    A struct, because a plan creates one for each blob: at a fifth of the cost of a frozen dataclass, and the garbage collector does
    not visit it.

    :param etag: without quotes
    :param size: bytes
    :param version_id: None in a bucket without versioning
    :param last_modified: from S3; for a multipart upload, the time at which it began. Written for people: never read back or compared
    :param checksum: that S3 stored, see :func:`~airflow_s3_azure.engine.checksums.source_checksum`; None: unknown
    :param identity: a :class:`CopyIdentity` as text; None on blobs that an earlier version copied
    :param crc64nvme: of the blob's whole content, base64 as S3 writes it; None: unknown
    """

    etag: str
    size: int
    version_id: str | None = None
    last_modified: datetime | None = None
    checksum: str | None = None
    identity: str | None = None
    crc64nvme: str | None = None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SourceRecord) and self._compared() == other._compared()

    def __ne__(self, other: object) -> bool:  # a struct has its own, which does not call __eq__
        return not self == other

    def __hash__(self) -> int:
        return hash(self._compared())

    def _compared(self) -> tuple[object, ...]:
        """Return all fields but ``last_modified``."""
        return self.etag, self.size, self.version_id, self.checksum, self.identity, self.crc64nvme

    def as_metadata(self) -> dict[str, str]:
        """Return the record as metadata for a blob."""
        found = {
            _ETAG: self.etag,
            _SIZE: str(self.size),
            _VERSION_ID: self.version_id,
            _LAST_MODIFIED: format_datetime(self.last_modified, usegmt=True) if self.last_modified else None,
            _CHECKSUM: self.checksum,
            _IDENTITY: self.identity,
            _CRC64: self.crc64nvme,
        }
        return {name: value for name, value in found.items() if value is not None}

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str]) -> SourceRecord | None:
        """Return the record in a blob's metadata, or None if another tool wrote the blob.

        A checksum that this package cannot have written is None: records are compared by ETag and size.
        """
        found = metadata if "".join(metadata).islower() else {name.lower(): value for name, value in metadata.items()}
        etag, size = found.get(_ETAG), found.get(_SIZE, "")
        if not etag or not _VALID_SIZE.fullmatch(size):
            return None
        return cls(
            etag=etag,
            size=int(size),
            version_id=found.get(_VERSION_ID),
            checksum=read_source_checksum(found.get(_CHECKSUM)),
            identity=found.get(_IDENTITY),
            crc64nvme=read_crc64(found.get(_CRC64)),
        )

    def is_of(self, identity: CopyIdentity) -> bool:
        """Return whether this can be the record of that copy. A record without an identity can be of any."""
        return self.identity is None or self.identity == str(identity)

    def names(self, identity: CopyIdentity) -> bool:
        """Return whether this is the record of that copy. A record without an identity is of none."""
        return self.identity == str(identity)

    def is_owned(self, bucket: str, blob: str) -> bool:
        """Return whether this package copied an object of the bucket to exactly this blob."""
        named_bucket, *digests = (self.identity or "").rsplit("/", 2)
        return len(digests) == 2 and (named_bucket, digests[1]) == (bucket, _digest(blob))

    def is_same_content(self, etag: str, size: int) -> bool:
        """Return whether the recorded object has this ETag (without quotes) and size."""
        return self.etag == etag and self.size == size


@dataclass(frozen=True, slots=True)
class PreservedProperties:
    """The content headers and the user metadata of an object, in Azure's names.

    :param headers: by lower-case HTTP name, such as ``content-type``
    :param metadata: by names that Azure takes; values are ASCII
    """

    headers: Mapping[str, str] = field(default_factory=dict)
    metadata: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_s3(cls, headers: Mapping[str, str]) -> PreservedProperties:
        """Return the properties in the headers of an S3 response.

        Control characters become spaces, because a line break would forge a header in the request to Azure.

        :param headers: by names in lower case
        """
        content = {name: _clean(headers[name]) for name in _CONTENT_HEADERS if headers.get(name)}
        if encodings := content.pop("content-encoding", ""):
            # S3 stores "aws-chunked" of a streaming upload; it describes that transfer, not the object.
            parts = [part.strip() for part in encodings.split(",")]
            if encoding := ",".join(part for part in parts if part and part.lower() != "aws-chunked"):
                content["content-encoding"] = encoding
        user = {
            name.removeprefix(_META_HEADER): _clean(value)
            for name, value in headers.items()
            if name.startswith(_META_HEADER)
        }
        return cls(headers=content, metadata=azure_metadata(user))


def metadata_with_record(user: Mapping[str, str], record: SourceRecord) -> dict[str, str]:
    """Return the metadata of a blob: the user's and the record.

    Where they exceed Azure's limit, the record has no checksums, because a copy without them is better than none.
    """
    metadata = {**user, **record.as_metadata()}
    for name in _DISPENSABLE:
        if len("".join(metadata)) + len("".join(metadata.values())) <= MAX_METADATA:
            break
        metadata.pop(name, None)
    return metadata


def without_record(metadata: Mapping[str, str]) -> dict[str, str]:
    """Return a blob's metadata without this package's own names."""
    return {name: value for name, value in metadata.items() if not name.lower().startswith(RECORD_PREFIX)}


def _digest(name: str) -> str:
    """Return 128 bits of a name's SHA-256, in hexadecimal."""
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def http_date(text: str | None) -> datetime | None:
    """Return the time of an HTTP date in UTC; None if there is none, or it is malformed."""
    if text is None:
        return None
    if text[25:] != " GMT":
        return _other_date(text)
    # The form that all services write, at a tenth of the cost of the parser of all forms.
    try:
        return datetime.fromisoformat(f"{text[12:16]}-{_MONTHS[text[8:11]]}-{text[5:7]}T{text[17:25]}+00:00")
    except (KeyError, ValueError):
        return _other_date(text)


def _other_date(text: str) -> datetime | None:
    """Return the time of an HTTP date in any form."""
    try:
        found = parsedate_to_datetime(text)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError, IndexError, TypeError):  # what the parser raises at malformed text
        return None


def azure_metadata(user: Mapping[str, str]) -> dict[str, str]:
    """Return S3 user metadata under names that Azure accepts, and the original names of those that differ."""
    metadata: dict[str, str] = {}
    renamed: dict[str, str] = {}
    # Names that need no change come first, so that they stay as they are.
    for name in sorted(user, key=lambda name: (_identifier(name) != name, name)):
        wanted = _identifier(name)
        azure_name, number = wanted, 2
        while azure_name in metadata:
            azure_name, number = f"{wanted}_{number}", number + 1
        metadata[azure_name] = _ascii(user[name])
        if azure_name != name:
            renamed[azure_name] = name
    if renamed:
        metadata[_NAMES] = json.dumps(renamed, sort_keys=True)
    return metadata


def s3_metadata(metadata: Mapping[str, str]) -> dict[str, str]:
    """Return the S3 user metadata, by its original names, from a blob's metadata or :func:`azure_metadata`."""
    renamed = json.loads(metadata.get(_NAMES, "{}"))
    return {renamed.get(name, name): value for name, value in metadata.items() if not name.startswith(RECORD_PREFIX)}


def _clean(value: str) -> str:
    return _CONTROL.sub(" ", value).strip()


def _identifier(name: str) -> str:
    identifier = re.sub(r"[^A-Za-z0-9_]", "_", name).lower()
    if identifier[:1].isdigit() or not identifier:
        identifier = "_" + identifier
    # With the underscore, because _2 may be appended.
    return "_" + identifier if f"{identifier}_".startswith(RECORD_PREFIX) else identifier


def _ascii(value: str) -> str:
    """Return a header value as ASCII: S3 itself writes other characters as RFC 2047 encoded words."""
    return value if value.isascii() else _UTF_8.header_encode(value)
