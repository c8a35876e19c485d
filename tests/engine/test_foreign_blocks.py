"""Staged blocks of another tool: a conflict, unless they may be discarded."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any, cast

import pytest

from airflow_s3_azure.engine.azure.container import BlobContainer
from airflow_s3_azure.engine.block_mover import CopyContext
from airflow_s3_azure.engine.blocks import BlockId
from airflow_s3_azure.engine.cancellation import Cancellation
from airflow_s3_azure.engine.errors import DestinationConflict, DestinationWriteError
from airflow_s3_azure.engine.foreign_blocks import discard_foreign_blocks
from airflow_s3_azure.engine.model import BlobContent, Precondition, StagedBlock
from airflow_s3_azure.engine.retry import RetryPolicy
from tests.fakes.memory import DATA, OPTIONS, FakeAzure, FakeS3, copy_one, stored

OURS = StagedBlock(BlockId(0, "f" * 20, 1).encode().encode(), 10)
FOREIGN = StagedBlock(b"00000001", 10)
NO_BLOB = Precondition(None)


class _Container:
    def __init__(self) -> None:
        self.discarded: list[str] = []

    def commit(self, blob: str, block_ids: list[str], content: BlobContent, condition: Precondition) -> str:
        assert (block_ids, content.headers, condition) == ([], {}, NO_BLOB)
        return f'"{blob}"'

    def delete(self, blob: str, etag: str) -> None:
        assert etag == f'"{blob}"'
        self.discarded.append(blob)


def _discard(
    container: _Container, staged: list[StagedBlock], *, precondition: Precondition = NO_BLOB, is_allowed: bool = True
) -> list[StagedBlock]:
    context = CopyContext("b", RetryPolicy(), 10, Cancellation())
    return discard_foreign_blocks(
        context, cast("BlobContainer", container), staged, precondition, is_allowed=is_allowed
    )


@pytest.mark.parametrize("is_allowed", [False, True])
@pytest.mark.parametrize("staged", [[], [OURS]])
def test_our_own_blocks_stay(staged: list[StagedBlock], is_allowed: bool) -> None:
    """They are resumed; no request is sent."""
    container = _Container()

    assert _discard(container, staged, is_allowed=is_allowed) == staged
    assert container.discarded == []


def test_foreign_blocks_are_a_conflict_unless_the_user_agrees() -> None:
    """The message counts only theirs, and names the three remedies."""
    container = _Container()

    with pytest.raises(DestinationConflict) as caught:
        _discard(container, [OURS, FOREIGN, FOREIGN], is_allowed=False)

    assert caught.value.message == (
        "this blob has 2 staged blocks of another tool, in conflict with ours; let that tool finish, wait until Azure "
        "drops them (7 days), or set discard_foreign_blocks=True"
    )
    assert container.discarded == []


def test_foreign_blocks_of_an_existing_blob_stay() -> None:
    """Only replacing the blob would discard them."""
    container = _Container()

    with pytest.raises(DestinationConflict, match="they cannot be discarded without replacing it"):
        _discard(container, [FOREIGN], precondition=Precondition('"etag"'))

    assert container.discarded == []


def test_all_staged_blocks_are_discarded_together(caplog: pytest.LogCaptureFixture) -> None:
    """Azure cannot discard single ones, so ours go as well; one warning reports it."""
    container = _Container()

    with caplog.at_level(logging.WARNING):
        assert _discard(container, [OURS, FOREIGN]) == []

    assert container.discarded == ["b"]
    assert [record.getMessage() for record in caplog.records] == [
        "'b': this blob has 1 staged block of another tool, in conflict with ours; discarding them"
    ]


@pytest.mark.parametrize("lost", ["commit", "delete"])
def test_no_empty_blob_stays_if_a_response_is_lost_while_blocks_are_discarded(lost: str) -> None:
    """The empty blob that a repeated commit finds is this copy's own; it is not taken for another writer's."""
    container = FakeAzure()
    container.blocks["key"] = {FOREIGN.name: b"x" * FOREIGN.size}
    request = getattr(container, lost)
    failures = [DestinationWriteError("the connection was closed", transient=True)]

    def lose(*arguments: Any) -> Any:
        done = request(*arguments)
        if failures:
            raise failures.pop()
        return done

    setattr(container, lost, lose)

    result = copy_one(FakeS3({"key": stored(DATA)}), container, options=replace(OPTIONS, discard_foreign_blocks=True))

    assert (result.status, result.error, container.blobs["key"].data) == ("copied", None, DATA)


def test_the_empty_blob_of_another_writer_is_not_deleted() -> None:
    """It has no mark, or another one."""
    container = FakeAzure()
    container.blocks["key"] = {FOREIGN.name: b"x" * FOREIGN.size}
    container.before_commit = lambda blob: container.add(blob, b"", {"s3_source_discards_staged": "0" * 16})

    result = copy_one(FakeS3({"key": stored(DATA)}), container, options=replace(OPTIONS, discard_foreign_blocks=True))

    assert isinstance(result.error, DestinationConflict)
    assert ("delete", "key") not in container.writes
