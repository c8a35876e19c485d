"""Copies in slices that end early."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_s3_azure.engine.cancellation import Cancellation
from airflow_s3_azure.engine.errors import SliceEnded
from airflow_s3_azure.engine.model import CopyRequest, CopyResult
from tests.fakes.memory import BLOCK, DATA, FakeAzure, FakeS3, content_of, copy, start, stored


def slices(source: FakeS3, container: FakeAzure, *, most: int, **settings: Any) -> list[CopyResult]:
    """Copy in slices that are over as soon as they may be, each with what the last one left; give up after ``most``."""
    results: list[CopyResult] = []
    for _ in range(most):
        done = {result.key for result in results}
        requests = [CopyRequest(key, key) for key in source.objects if key not in done]
        try:
            results += start(source, container, requests, slice_seconds=0, **settings)
        except SliceEnded:
            continue
        break
    return results


def test_a_slice_that_is_long_enough_copies_everything() -> None:
    """Nothing reports its end."""
    objects = {str(number): stored(content_of(20, number)) for number in range(5)}

    results = copy(FakeS3(objects), FakeAzure(), slice_seconds=60)

    assert {result.status for result in results.values()} == {"copied"}


@pytest.mark.usefixtures("no_thread_left")
def test_a_slice_that_ends_commits_nothing_incomplete() -> None:
    """The blocks that are staged wait for the next slice."""
    source, container = FakeS3({"key": stored(DATA)}), FakeAzure()

    with pytest.raises(SliceEnded):
        copy(source, container, threads=1, slice_seconds=0)

    assert container.blobs == {}


@pytest.mark.parametrize("threads", [1, 3])
def test_slices_copy_many_objects_together(threads: int) -> None:
    """However short they are, each copies at least one small object, and none is lost between two."""
    objects = {str(number): stored(content_of(BLOCK, number)) for number in range(10)}
    container = FakeAzure()

    slices(FakeS3(objects), container, most=11, threads=threads)

    assert {name: blob.data for name, blob in container.blobs.items()} == {
        key: found.data for key, found in objects.items()
    }


def test_slices_copy_a_large_object_together() -> None:
    """However short they are, each stages at least one block, and the last one commits."""
    source, container = FakeS3({"key": stored(DATA)}), FakeAzure()

    slices(source, container, most=8, threads=1)

    assert [blob.data for blob in container.blobs.values()] == [DATA]


def test_the_end_of_a_slice_is_no_cancellation() -> None:
    """The next slice of the same try is not cancelled."""
    cancellation = Cancellation()

    with pytest.raises(SliceEnded):
        copy(FakeS3({"key": stored(DATA)}), FakeAzure(), cancellation=cancellation, slice_seconds=0)

    assert not cancellation.is_set()
