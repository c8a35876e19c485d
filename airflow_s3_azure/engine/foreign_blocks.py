"""Discards staged blocks of another tool, which keep a copy from staging its own.

All block IDs of a blob must have one length (``InvalidBlobOrBlock``). So blocks with IDs of another length conflict with
ours until Azure drops them, seven days after the first one was staged.
"""

from __future__ import annotations

import secrets

from airflow_s3_azure.engine.azure.container import BlobContainer
from airflow_s3_azure.engine.azure.service_errors import PreconditionFailed
from airflow_s3_azure.engine.block_mover import CopyContext
from airflow_s3_azure.engine.errors import DestinationConflict
from airflow_s3_azure.engine.model import BlobContent, Precondition, StagedBlock
from airflow_s3_azure.engine.progress import count_text
from airflow_s3_azure.engine.properties import RECORD_PREFIX
from airflow_s3_azure.engine.quoting import get_logger
from airflow_s3_azure.engine.resume import count_conflicting_blocks

log = get_logger(__name__)

_MARK = f"{RECORD_PREFIX}discards_staged"


def discard_foreign_blocks(
    context: CopyContext,
    container: BlobContainer,
    staged: list[StagedBlock],
    precondition: Precondition,
    *,
    is_allowed: bool,
) -> list[StagedBlock]:
    """Return the staged blocks, after discarding all of them if some conflict with ours.

    :param is_allowed: whether the user agrees to it
    :raises DestinationConflict: if some conflict and must stay
    """
    count = count_conflicting_blocks(staged)
    if not count:
        return staged
    found = f"this blob has {count_text(count, 'staged block')} of another tool, in conflict with ours"
    if not is_allowed:
        raise DestinationConflict(
            f"{found}; let that tool finish, wait until Azure drops them (7 days), or set discard_foreign_blocks=True"
        )
    if precondition.etag is not None:
        raise DestinationConflict(
            f"{found}, and the blob exists, so they cannot be discarded without replacing it; "
            "wait until Azure drops them (7 days), or copy to another name"
        )
    log.warning("%r: %s; discarding them", context.blob, found)
    _discard(context, container)
    return []


def _discard(context: CopyContext, container: BlobContainer) -> None:
    """Commit an empty blob, and delete it. Its metadata identifies it after a lost response.

    :raises PreconditionFailed: if another writer's blob exists
    """
    blob, content = context.blob, BlobContent({}, {_MARK: secrets.token_hex(8)})
    try:
        etag = context.call(lambda: container.commit(blob, [], content, Precondition(None)))
    except PreconditionFailed:
        found = context.call(lambda: container.head_with_metadata(blob))
        if found is None or found[1] != content.metadata:
            raise
        etag = found[0].etag
    context.call(lambda: container.delete(blob, etag))
