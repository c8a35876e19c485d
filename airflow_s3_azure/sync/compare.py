"""Whether a listed object must be copied, given what the destination holds under its name. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from airflow_s3_azure.stream.objects import BlobState, Precondition
from airflow_s3_azure.sync.objects import ListedObject


@dataclass(frozen=True, slots=True)
class Decision:
    """What a sync does with one object.

    :param action: ``copy`` it, leave it as ``unchanged``, or ``skip`` it
    :param reason: why, for the log and the ledger
    :param precondition: what must still hold of the blob when the copy is committed; None unless copied
    """

    action: Literal["copy", "unchanged", "skip"]
    reason: str
    precondition: Precondition | None = None


def decide(item: ListedObject, blob: BlobState | None, *, overwrite: bool = True) -> Decision:
    """Return what to do with an object whose name holds ``blob`` (None: nothing) in the container.

    A blob of ours is compared by the ETag and size recorded on it. A blob without a record, which another tool
    wrote, counts as unchanged if it has the object's size and was written after the object.
    """
    if blob is None:
        return Decision("copy", "missing", Precondition(None))
    if blob.record is not None:
        if blob.is_copy_of(item.etag, item.size):
            return Decision("unchanged", "same ETag and size as recorded on the blob")
        reason = "the object, or the blob, changed since it was copied"
    elif blob.size == item.size and blob.last_modified is not None and blob.last_modified > item.last_modified:
        return Decision("unchanged", "another tool's blob, of the same size and newer than the object")
    else:
        reason = "another tool's blob, of another size or older than the object"
    if not overwrite:
        return Decision("skip", f"{reason}, but overwrite is off")
    return Decision("copy", reason, Precondition(blob.etag))
