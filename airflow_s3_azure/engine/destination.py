"""The blob that a copy writes: what is there, whether it is a copy already, and the precondition of the commit.

Invariant: a blob is overwritten only in the state in which the plan, or a HEAD of this copy, saw it.

An archived blob cannot be overwritten. If both the request and the options allow it, it is deleted first, and the commit then
requires that there is no blob. The deletion is conditional on the blob's ETag, and it is the last step before the first write. A copy that ends
between deletion and commit leaves no blob; the next one copies the object like any other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from airflow_s3_azure.engine.azure.container import BlobContainer
from airflow_s3_azure.engine.azure.service_errors import BlobArchived, BlockListRejected, PreconditionFailed
from airflow_s3_azure.engine.block_mover import CopyContext
from airflow_s3_azure.engine.conflicts import CONFLICTS
from airflow_s3_azure.engine.errors import DestinationAccessDenied, DestinationConflict, TransferError
from airflow_s3_azure.engine.model import BlobState, CopyRequest, CopyResult, Precondition, SourceObject
from airflow_s3_azure.engine.options import CopyOptions
from airflow_s3_azure.engine.properties import CopyIdentity
from airflow_s3_azure.engine.quoting import get_logger

log = get_logger(__name__)

REPLACED = "the archived blob was deleted first"
DELETE_PERMISSION = "overwrite_archived also needs the permission to delete blobs (d in a SAS)"


class Destination:
    """The destination of one copy. Its calls are made one at a time.

    :param identity: of the copy
    :param options: of the copy
    :param result: returns the copy's result with a status
    """

    def __init__(
        self,
        request: CopyRequest,
        container: BlobContainer,
        context: CopyContext,
        identity: CopyIdentity,
        *,
        options: CopyOptions,
        result: Callable[..., CopyResult],
    ) -> None:
        self._request = request
        self._to = container
        self._context = context
        self._identity = identity
        self._overwrite = options.overwrite
        self._may_delete = options.overwrite_archived and request.replace_archived
        self._result = result
        self._archived: BlobState | None = None
        self.precondition = request.precondition
        """Of the commit; None: not known yet."""
        self.has_replaced = False
        """Whether an archived blob was deleted."""

    @property
    def replaces_archived(self) -> bool:
        """Whether there is an archived blob, which :meth:`delete_archived` is to delete before anything is written."""
        return self._archived is not None

    def find_existing_copy(self, etag: str, size: int) -> CopyResult | None:
        """Return the result if the blob is a copy already, which an earlier try may have made since the plan."""
        state = self._head()
        return self._existing_copy(state, etag, size) if state is not None else None

    def recheck_conflict(self, etag: str | None, size: int | None) -> CopyResult | None:
        """Check a blob again that could not be overwritten when it was planned; return the result if it is a copy now.

        :raises DestinationConflict: if it still cannot be overwritten
        """
        state = self._head()
        if state is None:
            if self._may_delete:  # an earlier try deleted it
                self.precondition = Precondition(None)
            return None
        if etag and size is not None and (done := self._existing_copy(state, etag, size)) is not None:
            return done
        self._admit(state)
        return None

    def check(self, source: SourceObject) -> CopyResult | None:
        """Find out the precondition by a HEAD of the blob; return the result if the object needs no copy.

        :raises DestinationConflict: if the blob cannot be overwritten
        """
        state, self._archived = self._head(), None  # only this HEAD counts
        if state is None:
            self.precondition = Precondition(None)
            return None
        if (done := self._needs_no_copy(state, source.etag, source.size)) is not None:
            return done
        self._admit(state)
        self.precondition = Precondition(state.etag)
        return None

    def delete_archived(self, source: SourceObject) -> CopyResult | None:
        """Delete the archived blob that is replaced, if there is one; return the result if a concurrent writer was first.

        :raises TransferError: if it may not be deleted, or is another one now; it is unchanged
        """
        state = self._archived
        if state is None:
            return None
        log.warning("%r: deleting the archived blob with ETag %s, to replace it", self._request.blob, state.etag)
        try:
            self._context.call(lambda: self._to.delete(self._request.blob, state.etag))
        except PreconditionFailed:
            found = self._head()
            if found is not None:
                if (done := self._needs_no_copy(found, source.etag, source.size)) is not None:
                    return done
                raise
        except TransferError as error:
            needs = "" if not isinstance(error, DestinationAccessDenied) else f"; {DELETE_PERMISSION}"
            error.message = f"the archived blob could not be deleted, to replace it: {error.message}{needs}"
            raise
        self._archived, self.has_replaced = None, True
        self.precondition = Precondition(None)
        return None

    def make_visible(self, source: SourceObject, request: Callable[[Precondition], str]) -> str | CopyResult:
        """Send the request that makes the blob visible; return its ETag, or the result if a concurrent writer was first.

        :raises PreconditionFailed: if that writer wrote something else
        :raises BlockListRejected: if a staged block is gone; a new try copies what is not staged
        :raises BlobArchived: if the blob cannot be overwritten
        """
        retries, precondition = self._context.retries, self.precondition or Precondition(None)
        try:
            return self._context.call(lambda: request(precondition))
        except (PreconditionFailed, BlockListRejected, BlobArchived):
            state = self._head()
            if state is None or state.etag == precondition.etag:  # nothing was written: it is the blob to be replaced
                raise
            if self._context.retries > retries and state.is_copy_of(source.etag, source.size, self._identity):
                return state.etag  # written by the first request, whose response was lost
            done = self._needs_no_copy(state, source.etag, source.size)
            if done is None:
                raise
            return done

    def _head(self) -> BlobState | None:
        return self._context.call(lambda: self._to.head(self._request.blob))

    def _admit(self, state: BlobState) -> None:
        """Check that a blob can be overwritten, or deleted first.

        :raises DestinationConflict: if not
        """
        planned = self._request.precondition
        is_planned = planned is None or planned.etag == state.etag
        if state.conflict == "archived" and self._may_delete and is_planned:
            self._archived = state
        elif state.conflict is not None:
            raise DestinationConflict(str(CONFLICTS[state.conflict]))

    def _existing_copy(self, state: BlobState, etag: str, size: int) -> CopyResult | None:
        # The blob that the plan saw is to be replaced, whatever its record.
        is_planned = self.precondition is not None and self.precondition.etag == state.etag
        return self._unchanged(state) if not is_planned and state.is_copy_of(etag, size, self._identity) else None

    def _unchanged(self, state: BlobState) -> CopyResult:
        result = self._result("unchanged", blob_etag=state.etag)
        if state.record is None:
            return result
        source_checksum = result.source_checksum or state.record.checksum
        return replace(result, crc64nvme=state.record.crc64nvme, source_checksum=source_checksum)

    def _needs_no_copy(self, state: BlobState, etag: str, size: int) -> CopyResult | None:
        if state.is_copy_of(etag, size, self._identity):
            return self._unchanged(state)
        if not self._overwrite:
            reason = "the blob exists and overwrite is off"
            return self._result("skipped", blob_etag=state.etag, reason=reason)
        return None
