"""What a copy does to a blob in the archive tier: replaced only on request, and deleted only once the object can be written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from airflow_s3_azure.engine.azure.service_errors import ErrorResponse
from airflow_s3_azure.engine.cancellation import Cancellation
from airflow_s3_azure.engine.errors import (
    Cancelled,
    DestinationAccessDenied,
    DestinationConflict,
    DestinationWriteError,
    IntegrityError,
    SourceAccessDenied,
    SourceArchived,
    SourceChanged,
    SourceNotFound,
    SourceReadError,
)
from airflow_s3_azure.engine.model import BlobState, CopyRequest, CopyResult, Precondition
from airflow_s3_azure.engine.properties import CopyIdentity, SourceRecord
from tests.fakes.memory import (
    BLOCK,
    DATA,
    OPTIONS,
    FakeAzure,
    FakeS3,
    break_off_at,
    checksum_of,
    content_of,
    copy_one,
    etag_of,
    request_for,
    stored,
)

REPLACING = replace(OPTIONS, overwrite_archived=True)
OLD = b"the only copy"
SMALL = content_of(BLOCK)
SIZES = pytest.mark.parametrize("data", [SMALL, DATA], ids=["small", "large"])
PLANS = pytest.mark.parametrize("is_planned", [False, True], ids=["one object", "of a plan"])


class Archived:
    """An object whose blob's name holds an archived blob, which is not a copy of it.

    :param data: of the object
    :param is_planned: whether the request is one of a plan that listed both
    """

    def __init__(self, data: bytes = SMALL, *, is_planned: bool = False, **record: Any) -> None:
        self.source = FakeS3({"key": stored(data)})
        self.container = FakeAzure()
        metadata = SourceRecord(**record).as_metadata() if record else {}
        self.old = self.container.add("key", OLD, metadata, conflict="archived")
        self.steps: list[str] = []
        self.source.before_read = lambda key, start: self.steps.append("read")
        self.request = CopyRequest("key", "key", replace_archived=True)
        if is_planned:
            planned = request_for("key", self.source.objects["key"], Precondition(self.old.etag))
            self.request = replace(planned, conflict="archived", replace_archived=True)

    def copy(self, **settings: Any) -> CopyResult:
        """Copy the object."""
        return copy_one(self.source, self.container, **{"requests": [self.request], "options": REPLACING, **settings})

    def is_untouched(self) -> bool:
        """Return whether nothing was written or deleted."""
        return self.container.blobs == {"key": self.old} and self.container.writes == []


@SIZES
@PLANS
def test_an_archived_blob_is_replaced_on_request(data: bytes, *, is_planned: bool) -> None:
    """It is deleted first, because it can be neither overwritten nor staged for; the reason says so."""
    case = Archived(data, is_planned=is_planned)

    result = case.copy()

    assert (result.status, case.container.blobs["key"].data) == ("copied", data)
    assert result.reason == "the archived blob was deleted first"
    writes = [("put", "key")] if data is SMALL else [*[("stage", "key")] * 6, ("commit", "key")]
    assert case.container.writes == [("delete", "key"), *writes]


@SIZES
@PLANS
def test_it_is_deleted_only_after_the_object_was_read(data: bytes, *, is_planned: bool) -> None:
    """A small object whole, and the beginning of a large one."""
    case = Archived(data, is_planned=is_planned)
    case.container.before_delete = lambda blob: case.steps.append("delete")

    case.copy()

    assert case.steps[:2] == ["read", "delete"]
    assert case.steps.count("delete") == 1


@SIZES
@PLANS
@pytest.mark.parametrize(("of_request", "of_options"), [(True, False), (False, True), (False, False)])
def test_it_stays_unless_request_and_options_allow_it(
    data: bytes, *, is_planned: bool, of_request: bool, of_options: bool
) -> None:
    """A plan that did not count it does not allow it, nor does an option that was switched off since."""
    case = Archived(data, is_planned=is_planned)
    request = replace(case.request, replace_archived=of_request)

    result = case.copy(requests=[request], options=replace(OPTIONS, overwrite_archived=of_options))

    assert isinstance(result.error, DestinationConflict)
    assert "the blob is in the archive tier" in str(result.error)
    assert (case.is_untouched(), case.source.reads) == (True, [])


@SIZES
@pytest.mark.parametrize("conflict", ["append_blob", "page_blob"])
@PLANS
def test_only_archived_blobs_are_replaced(data: bytes, conflict: Any, *, is_planned: bool) -> None:
    """An append or page blob is no version of a copy."""
    case = Archived(data, is_planned=is_planned)
    case.old = case.container.add("key", OLD, conflict=conflict)

    result = case.copy()

    assert isinstance(result.error, DestinationConflict)
    assert case.is_untouched()


@SIZES
def test_an_archived_copy_stays(data: bytes) -> None:
    """It is unchanged; so is every key of a second run with access_tier='Archive'."""
    identity = str(CopyIdentity("bucket", "key", "key"))
    case = Archived(data, etag=etag_of(data), size=len(data), identity=identity)
    case.old = case.container.add("key", data, case.old.content.metadata, conflict="archived")

    result = case.copy()

    assert (result.status, case.is_untouched(), case.source.reads) == ("unchanged", True, [])


def test_it_stays_without_overwrite() -> None:
    """The options exclude each other; the engine does not delete either way."""
    case = Archived()
    options = replace(OPTIONS, overwrite=False)

    assert (case.copy(options=options).status, case.is_untouched()) == ("skipped", True)


@SIZES
def test_another_archived_blob_than_the_planned_one_stays(data: bytes) -> None:
    """The plan counted and allowed the deletion of that one only."""
    case = Archived(data, is_planned=True)
    case.old = case.container.add("key", b"someone else's", conflict="archived")

    result = case.copy()

    assert isinstance(result.error, DestinationConflict)
    assert case.is_untouched()


@SIZES
@PLANS
@pytest.mark.parametrize("conflict", [None, "archived"])
def test_a_blob_that_is_written_before_the_deletion_stays(data: bytes, conflict: Any, *, is_planned: bool) -> None:
    """The deletion names the ETag of the blob that was seen."""
    case = Archived(data, is_planned=is_planned)
    theirs = []
    case.container.before_delete = lambda blob: theirs.append(
        case.container.add(blob, b"someone else's", conflict=conflict)
    )

    result = case.copy()

    assert isinstance(result.error, DestinationConflict)
    assert case.container.blobs == {"key": theirs[-1]}


@SIZES
def test_a_concurrent_copy_that_replaced_it_first_leaves_nothing_to_do(data: bytes) -> None:
    """It is the same copy."""
    case = Archived(data)
    record = SourceRecord(etag_of(data), len(data), identity=str(CopyIdentity("bucket", "key", "key")))
    case.container.before_delete = lambda blob: case.container.add(blob, data, record.as_metadata())

    assert (case.copy().status, case.container.blobs["key"].data) == ("unchanged", data)


@SIZES
def test_a_blob_that_is_written_after_the_deletion_stays(data: bytes) -> None:
    """The commit requires that there is none."""
    case = Archived(data)
    case.container.before_commit = lambda blob: case.container.add(blob, b"someone else's")

    result = case.copy()

    assert isinstance(result.error, DestinationConflict)
    assert case.container.blobs["key"].data == b"someone else's"


def refusal(status: int, code: str) -> Callable[[str], None]:
    """Return a deletion that Azure refuses with this code."""

    def refuse(blob: str) -> None:
        raise ErrorResponse(status, code, {}).as_error(blob)

    return refuse


REFUSALS: dict[str, tuple[int, type[Exception], str]] = {
    "LeaseIdMissing": (412, DestinationConflict, "the blob is leased; break or release the lease"),
    "BlobImmutableDueToPolicy": (409, DestinationConflict, "a time-based retention policy protects the blob"),
    "BlobImmutableDueToLegalHold": (409, DestinationConflict, "a legal hold protects the blob"),
    "SnapshotsPresent": (409, DestinationConflict, "the blob has snapshots, which are never deleted with it"),
    "AuthorizationPermissionMismatch": (
        403,
        DestinationAccessDenied,
        "overwrite_archived also needs the permission to delete blobs (d in a SAS)",
    ),
}


@SIZES
@PLANS
@pytest.mark.parametrize("code", REFUSALS)
def test_a_deletion_that_azure_refuses_is_named(data: bytes, code: str, *, is_planned: bool) -> None:
    """A lease, a policy, a snapshot or a missing permission: the blob stays, and the key fails."""
    case = Archived(data, is_planned=is_planned)
    status, kind, remedy = REFUSALS[code]
    case.container.before_delete = refusal(status, code)

    result = case.copy()

    assert isinstance(result.error, kind)
    assert "the archived blob could not be deleted, to replace it: Azure returned" in str(result.error)
    assert remedy in str(result.error)
    assert case.is_untouched()


@SIZES
@PLANS
@pytest.mark.parametrize(
    "error",
    [
        SourceReadError("gone"),
        SourceAccessDenied("KMS"),
        SourceArchived("Glacier"),
        SourceChanged("new"),
        SourceNotFound("no key"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_object_that_cannot_be_read_deletes_nothing(data: bytes, error: Exception, *, is_planned: bool) -> None:
    """The first read fails."""
    case = Archived(data, is_planned=is_planned)

    def fail(*_: object) -> None:
        raise error

    case.source.before_read = fail

    assert case.copy().error is error
    assert case.is_untouched()


@SIZES
def test_an_archived_object_deletes_nothing(data: bytes) -> None:
    """Neither with archived='skip' nor with 'fail': a HEAD shows it."""
    case = Archived(data)
    describe = case.source.head
    case.source.head = lambda key, version_id=None: replace(describe(key), is_archived=True)  # type: ignore[method-assign]

    statuses = [case.copy(options=replace(REPLACING, archived=one)).status for one in ("skip", "fail")]

    assert (statuses, case.is_untouched(), case.source.reads) == (["skipped", "failed"], True, [])


def test_a_small_object_that_is_damaged_deletes_nothing() -> None:
    """It is verified before."""
    case = Archived()
    case.source.objects["key"] = stored(SMALL, checksum=checksum_of(b"other"))

    assert isinstance(case.copy().error, IntegrityError)
    assert case.is_untouched()


@SIZES
@pytest.mark.parametrize("request_of_next", ["the same try", "the next run"])
@PLANS
def test_a_copy_that_ends_after_the_deletion_is_made_by_the_next_try(
    data: bytes, request_of_next: str, *, is_planned: bool
) -> None:
    """Killed between deletion and commit: there is no blob, and the next try copies the object like any other."""
    case, cancellation = Archived(data, is_planned=is_planned), Cancellation()
    delete = case.container.delete

    def delete_and_be_killed(blob: str, etag: str) -> None:
        delete(blob, etag)
        cancellation.set("the task was killed")
        cancellation.check()

    case.container.delete = delete_and_be_killed  # type: ignore[method-assign]
    with pytest.raises(Cancelled):
        case.copy(cancellation=cancellation)
    assert (case.container.blobs, case.container.writes) == ({}, [("delete", "key")])
    case.container.delete = delete  # type: ignore[method-assign]
    found = case.source.objects["key"]
    # The next plan sees no blob, and needs no permission to delete one.
    requests = [case.request if request_of_next == "the same try" else request_for("key", found, Precondition(None))]

    result = case.copy(requests=requests)

    assert (result.status, case.container.blobs["key"].data) == ("copied", data)
    assert case.container.writes.count(("delete", "key")) == 1


@PLANS
def test_a_large_copy_that_fails_after_the_deletion_says_so_and_resumes(*, is_planned: bool) -> None:
    """The error names that there is no copy; the next try reads only what is not staged."""
    case = Archived(DATA, is_planned=is_planned)
    case.source.before_read = break_off_at(3)

    failed = case.copy()
    case.source.before_read = lambda key, start: None
    again = case.copy()

    assert str(failed.error).startswith(
        "the archived blob was deleted first, and there is no copy yet; the next try copies the object: the connection was"
    )
    assert failed.error is not None
    assert failed.error.retryable
    assert (again.status, again.resumed_blocks, case.container.blobs["key"].data) == ("copied", 3, DATA)


def test_a_key_is_not_skipped_once_its_blob_is_deleted() -> None:
    """A key of a list whose object is deleted during the copy: the run must show that the copy is missing."""
    case = Archived(DATA, is_planned=True)

    def vanish(_: str, start: int) -> None:
        if start == 2 * BLOCK:
            case.source.objects.clear()
            raise SourceNotFound("no key", bucket_exists=True)

    case.source.before_read = vanish

    result = case.copy(requests=[replace(case.request, from_key_list=True)])

    assert (result.status, case.container.blobs) == ("failed", {})


@SIZES
def test_a_deletion_whose_response_was_lost_is_no_error(data: bytes) -> None:
    """The request that is sent again finds no blob."""
    case = Archived(data)
    delete = case.container.delete
    lost: list[str] = []

    def lose_response(blob: str, etag: str) -> None:
        delete(blob, etag)
        if not lost:
            lost.append(etag)
            raise DestinationWriteError("the connection was closed", transient=True)

    case.container.delete = lose_response  # type: ignore[method-assign]

    result = case.copy()

    assert (result.status, result.retries, case.container.blobs["key"].data) == ("copied", 1, data)


@SIZES
def test_a_blob_that_was_rehydrated_since_the_plan_is_overwritten(data: bytes) -> None:
    """Nothing is deleted for it."""
    case = Archived(data, is_planned=True)
    case.container.blobs["key"] = replace(case.old, conflict=None)

    result = case.copy()

    assert (result.status, case.container.blobs["key"].data) == ("copied", data)
    assert ("delete", "key") not in case.container.writes


@pytest.mark.parametrize("then", [None, "rehydrated", "archived"])
def test_only_the_last_head_decides_on_the_deletion(then: str | None) -> None:
    """An object of a key list that changed is compared again: the blob that is there now counts."""
    case = Archived(is_planned=True)
    heads: list[str] = []

    def head(blob: str) -> BlobState | None:
        heads.append(blob)
        if len(heads) == 2 and then is None:
            case.container.blobs.clear()
        if len(heads) == 2 and then == "rehydrated":
            case.container.blobs["key"] = replace(case.old, conflict=None)
        return FakeAzure.head(case.container, blob)

    case.container.head = head  # type: ignore[method-assign]
    request = replace(case.request, etag="listed", from_key_list=True)

    result = case.copy(requests=[request])

    assert (result.status, case.container.blobs["key"].data, len(heads)) == ("copied", SMALL, 2)
    assert case.container.writes.count(("delete", "key")) == (then == "archived")
