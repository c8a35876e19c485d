"""What a sync does with an object, for everything that can be found under its name."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from airflow_s3_azure.engine.model import BlobState, Precondition
from airflow_s3_azure.engine.properties import CopyIdentity, SourceRecord
from airflow_s3_azure.sync import compare as comparing
from airflow_s3_azure.sync.compare import Decision
from airflow_s3_azure.sync.compare_modes import Compare
from airflow_s3_azure.sync.listed_object import ListedObject

UPLOADED = datetime(2026, 11, 1, 12, tzinfo=UTC)
BEFORE, AFTER = UPLOADED - timedelta(seconds=1), UPLOADED + timedelta(seconds=1)
ITEM = ListedObject("key", 5, "etag", UPLOADED)
IDENTITY = CopyIdentity("bucket", "key", "blob")
FOREIGN = "the blob's record names another object or another blob"

CHANGED = "the object, or the blob, changed since it was copied"
OTHERS = "another tool's blob, of another size or older than the object"

every_overwrite = pytest.mark.parametrize("overwrite", [True, False], ids=["overwrite", "keep"])


def blob(
    size: int = 5, record: SourceRecord | None = None, modified: datetime | None = AFTER, etag: str = '"blob"'
) -> BlobState:
    """Return a committed blob."""
    return BlobState(etag, size, modified, record)


def decide(item: ListedObject, found: BlobState | None, **options: Any) -> Decision:
    """Return what a sync does with an object of the bucket, copied to ``blob``."""
    return comparing.decide(item, found, IDENTITY, **options)


OURS_CHANGED = {
    "another ETag": blob(record=SourceRecord("old", 5)),
    "another size": blob(size=4, record=SourceRecord("etag", 4)),
    "another ETag and size": blob(size=4, record=SourceRecord("old", 4)),
    "another recorded size": blob(size=5, record=SourceRecord("etag", 4)),
    "a blob that lost bytes": blob(size=4, record=SourceRecord("etag", 5)),
    "an old copy": blob(record=SourceRecord("old", 5), modified=BEFORE),
}
OTHERS_CHANGED = {
    "another size": blob(size=4),
    "older": blob(modified=BEFORE),
    "as old": blob(modified=UPLOADED),
    "of unknown age": blob(modified=None),
    "older and of another size": blob(size=4, modified=BEFORE),
}


@every_overwrite
@pytest.mark.parametrize("modified", [BEFORE, AFTER, None], ids=["older", "newer", "unknown"])
def test_compared_by_checksum_another_tools_blob_of_the_same_size_is_read_back(
    *, overwrite: bool, modified: datetime | None
) -> None:
    """Whenever it was written, and whether it may be overwritten or not: an equal one is not."""
    reason = "another tool's blob, of the same size: its content is compared first"

    found = decide(ITEM, blob(modified=modified), compare="checksum", overwrite=overwrite)

    assert found == Decision("copy", reason, Precondition('"blob"'), adopt=True)


def test_compared_by_checksum_nothing_else_is_read_back() -> None:
    """A missing blob, one of another size, and copies of ours, changed or not."""
    assert decide(ITEM, None, compare="checksum") == decide(ITEM, None)
    assert decide(ITEM, blob(size=4), compare="checksum") == Decision(
        "copy", "another tool's blob, of another size", Precondition('"blob"')
    )
    ours = blob(record=SourceRecord("etag", 5))
    assert decide(ITEM, ours, compare="checksum") == decide(ITEM, ours)
    assert [decide(ITEM, one, compare="checksum") for one in OURS_CHANGED.values()] == [
        decide(ITEM, one) for one in OURS_CHANGED.values()
    ]


@every_overwrite
def test_a_missing_blob_is_copied(*, overwrite: bool) -> None:
    """On condition that it is still missing at the commit."""
    assert decide(ITEM, None, overwrite=overwrite) == Decision("copy", "there is no blob", Precondition(None))


@pytest.mark.parametrize("compare", ["etag", "checksum", "size", "always"])
def test_a_missing_blob_is_copied_however_compared(compare: Compare) -> None:
    """There is nothing to compare."""
    assert decide(ITEM, None, compare=compare).action == "copy"


@every_overwrite
@pytest.mark.parametrize("modified", [BEFORE, UPLOADED, AFTER, None], ids=["older", "as old", "newer", "unknown"])
def test_a_copy_of_the_same_version_is_unchanged(*, overwrite: bool, modified: datetime | None) -> None:
    """The record counts, not the time."""
    found = blob(record=SourceRecord("etag", 5), modified=modified)

    assert decide(ITEM, found, overwrite=overwrite) == Decision(
        "unchanged", "same ETag and size as recorded on the blob", record=found.record
    )


def test_a_copy_whose_record_names_it_is_unchanged() -> None:
    """The record of this object, copied to this name."""
    found = blob(record=SourceRecord("etag", 5, identity=str(IDENTITY)))

    assert decide(ITEM, found).action == "unchanged"


@pytest.mark.parametrize(
    "identity",
    [
        str(CopyIdentity("other-bucket", "key", "blob")),
        str(CopyIdentity("bucket", "other-key", "blob")),
        str(CopyIdentity("bucket", "key", "other-blob")),
        "forged",
        "",
    ],
)
def test_a_copy_of_our_blob_under_another_name_is_not_unchanged(identity: str) -> None:
    """A manual copy of a blob copies its metadata too; another object's content must not count as this one's."""
    found = blob(record=SourceRecord("etag", 5, identity=identity))

    assert decide(ITEM, found) == Decision("copy", FOREIGN, Precondition('"blob"'))
    assert decide(ITEM, found, overwrite=False) == Decision("skip", f"{FOREIGN}, but overwrite is off")


@pytest.mark.parametrize("found", OURS_CHANGED.values(), ids=OURS_CHANGED)
def test_a_copy_of_another_version_is_replaced(found: BlobState) -> None:
    """On condition that it is still the blob that was listed."""
    assert decide(ITEM, found) == Decision("copy", CHANGED, Precondition('"blob"'))


@pytest.mark.parametrize("found", OURS_CHANGED.values(), ids=OURS_CHANGED)
def test_a_copy_of_another_version_is_kept_without_overwrite(found: BlobState) -> None:
    """It is skipped, with the reason."""
    assert decide(ITEM, found, overwrite=False) == Decision("skip", f"{CHANGED}, but overwrite is off")


@every_overwrite
def test_another_tools_newer_blob_of_the_same_size_is_unchanged(*, overwrite: bool) -> None:
    """Who moves from another tool need not copy everything again."""
    assert decide(ITEM, blob(), overwrite=overwrite) == Decision(
        "unchanged", "another tool's blob, of the same size and newer than the object"
    )


@pytest.mark.parametrize("found", OTHERS_CHANGED.values(), ids=OTHERS_CHANGED)
def test_another_tools_other_blob_is_replaced(found: BlobState) -> None:
    """On condition that it is still the blob that was listed."""
    assert decide(ITEM, found) == Decision("copy", OTHERS, Precondition('"blob"'))


@pytest.mark.parametrize("found", OTHERS_CHANGED.values(), ids=OTHERS_CHANGED)
def test_another_tools_other_blob_is_kept_without_overwrite(found: BlobState) -> None:
    """It is skipped, with the reason."""
    assert decide(ITEM, found, overwrite=False) == Decision("skip", f"{OTHERS}, but overwrite is off")


@every_overwrite
@pytest.mark.parametrize(
    "found", [blob(), blob(modified=BEFORE), blob(record=SourceRecord("old", 5)), blob(modified=None)]
)
def test_compared_by_size_the_same_size_is_unchanged(found: BlobState, *, overwrite: bool) -> None:
    """By any tool, at any time."""
    assert decide(ITEM, found, compare="size", overwrite=overwrite) == Decision("unchanged", "the same size")


@pytest.mark.parametrize("found", [blob(4), blob(4, record=SourceRecord("etag", 5)), blob(4, SourceRecord("etag", 4))])
def test_compared_by_size_another_size_is_replaced(found: BlobState) -> None:
    """For any record."""
    assert decide(ITEM, found, compare="size") == Decision("copy", "another size", Precondition('"blob"'))


@pytest.mark.parametrize("found", [blob(), blob(record=SourceRecord("etag", 5))], ids=["another tool's", "a copy"])
def test_always_replaces(found: BlobState) -> None:
    """Also what is known to be the same, on condition that it is the blob that was listed."""
    assert decide(ITEM, found, compare="always") == Decision("copy", "compare is 'always'", Precondition('"blob"'))


@pytest.mark.parametrize(
    ("compare", "reason"),
    [("size", "another size, but overwrite is off"), ("always", "compare is 'always', but overwrite is off")],
)
def test_no_comparison_overwrites_what_must_be_kept(compare: Compare, reason: str) -> None:
    """``overwrite=False`` never touches a blob."""
    found = blob(4, record=SourceRecord("etag", 5))

    assert decide(ITEM, found, compare=compare, overwrite=False) == Decision("skip", reason)


def test_objects_are_replaced_by_default() -> None:
    """A sync makes the destination like the source."""
    assert decide(ITEM, blob(size=4)).action == "copy"
