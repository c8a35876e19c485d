"""Whether a listed object must be copied, given what the destination holds under its name. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import msgspec

from airflow_s3_azure.engine.model import BlobState, CopyRequest, Precondition, why_gone
from airflow_s3_azure.engine.properties import CopyIdentity, SourceRecord
from airflow_s3_azure.sync.compare_modes import Compare
from airflow_s3_azure.sync.listed_object import ListedKey, ListedObject


class Decision(msgspec.Struct, frozen=True, gc=False):
    """What a sync does with one object. A struct, because a plan creates one for each key.

    :param action: ``copy`` it, leave it as ``unchanged``, or ``skip`` it
    :param reason: why, for the log and the ledger
    :param precondition: what must still hold of the blob when the copy is committed; None unless copied, or if the object
        is unknown, so that the copy compares it
    :param adopt: compare the blob's content first, and copy the object only if it differs
    :param record: of the blob, if it is unchanged and its record is that of this copy
    """

    action: Literal["copy", "unchanged", "skip"]
    reason: str
    precondition: Precondition | None = None
    adopt: bool = False
    record: SourceRecord | None = None

    def request(self, item: ListedObject, name: str) -> CopyRequest:
        """Return the request to copy an object to a blob of this name."""
        request = CopyRequest(
            item.key,
            name,
            size=item.size,
            etag=item.etag,
            precondition=self.precondition,
            reason=self.reason,
            adopt=self.adopt,
        )
        if not isinstance(item, ListedKey):
            return request
        request = replace(request, version_id=item.version_id, from_key_list=True)
        return replace(request, size=None, etag=None) if item.state == "unknown" else request


def decide(
    item: ListedObject,
    blob: BlobState | None,
    identity: CopyIdentity,
    *,
    compare: Compare = "etag",
    overwrite: bool = True,
) -> Decision:
    """Return what to do with an object whose name holds ``blob`` (None: nothing) in the container.

    Compared by ``etag``, a blob of ours is unchanged if it has the object's size, the ETag and size recorded on it are
    the object's, and its record names the object and the blob; a blob without a record, which another tool wrote, if
    it has the object's size and was written after the object. Compared by ``checksum``, such a blob is to be read back
    if it has the object's size, whenever it was written.

    :param identity: of the copy that the blob should be
    """
    if isinstance(item, ListedKey) and item.state != "known":
        if item.state == "gone":
            return Decision("skip", why_gone(item.version_id))
        return Decision("copy", "its size and ETag are unknown")
    if blob is None or blob.conflict == "directory":
        return Decision("copy", "there is no blob", Precondition(None))
    if compare == "checksum" and blob.record is None and blob.size == item.size:
        reason = "another tool's blob, of the same size: its content is compared first"
        return Decision("copy", reason, Precondition(blob.etag), adopt=True)
    record = blob.record if blob.is_copy_of(item.etag, item.size, identity) else None
    is_unchanged, reason = _is_unchanged(item, blob, record, identity, compare)
    if is_unchanged:
        return Decision("unchanged", reason, record=record)
    if not overwrite:
        return Decision("skip", f"{reason}, but overwrite is off")
    return Decision("copy", reason, Precondition(blob.etag))


def _is_unchanged(
    item: ListedObject, blob: BlobState, record: SourceRecord | None, identity: CopyIdentity, compare: Compare
) -> tuple[bool, str]:
    """Return whether a blob counts as a copy, and why.

    :param record: of the blob, if it is that of this copy
    """
    if compare == "always":
        return False, "compare is 'always'"
    if compare == "size":
        return (True, "the same size") if blob.size == item.size else (False, "another size")
    if record is not None:
        return True, "same ETag and size as recorded on the blob"
    if blob.record is not None:
        if not blob.record.is_of(identity):
            return False, "the blob's record names another object or another blob"
        return False, "the object, or the blob, changed since it was copied"
    if compare == "checksum":
        return False, "another tool's blob, of another size"
    if blob.size == item.size and _is_newer(blob, item):
        return True, "another tool's blob, of the same size and newer than the object"
    return False, "another tool's blob, of another size or older than the object"


def _is_newer(blob: BlobState, item: ListedObject) -> bool:
    """Return whether a blob was written after the object; False if one of the times is unknown."""
    written, modified = blob.last_modified, item.last_modified
    return written is not None and modified is not None and written > modified
