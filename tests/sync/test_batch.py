"""Cutting the objects to copy into batches."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_s3_azure.stream.objects import CopyRequest
from airflow_s3_azure.sync.batch import MAX_BATCHES, Batch, batch

UNBOUNDED = 10**9
"""More batches than any of these tests needs, so that no limit has to give way."""

sizes_to_copy = st.lists(st.integers(0, 2000) | st.sampled_from([0, 10**6]), max_size=60)
max_objects_in_batch = st.integers(1, 20)
max_sizes = st.integers(1, 3000)


def requests_of(sizes: list[int]) -> list[CopyRequest]:
    """Return one request for each size."""
    return [CopyRequest(f"{number:04}", f"{number:04}", size=size) for number, size in enumerate(sizes)]


def sizes_in(batches: list[Batch]) -> list[list[int | None]]:
    """Return the sizes in each batch."""
    return [[request.size for request in one.requests] for one in batches]


@given(sizes=sizes_to_copy, max_objects=max_objects_in_batch, max_size=max_sizes, max_batches=st.integers(1, 70))
def test_batches_keep_the_order_and_lose_nothing(
    sizes: list[int], max_objects: int, max_size: int, max_batches: int
) -> None:
    """Put together again, they are what was cut."""
    requests = requests_of(sizes)

    found = batch(requests, max_objects=max_objects, max_size=max_size, max_batches=max_batches)

    assert [request for one in found for request in one.requests] == requests


@given(sizes=sizes_to_copy, max_objects=max_objects_in_batch, max_size=max_sizes, max_batches=st.integers(1, 70))
def test_batches_are_never_more_than_allowed(
    sizes: list[int], max_objects: int, max_size: int, max_batches: int
) -> None:
    """Airflow refuses a longer map."""
    found = batch(requests_of(sizes), max_objects=max_objects, max_size=max_size, max_batches=max_batches)

    assert len(found) <= max_batches


@given(sizes=sizes_to_copy, max_objects=max_objects_in_batch, max_size=max_sizes)
def test_no_batch_is_empty(sizes: list[int], max_objects: int, max_size: int) -> None:
    """Each mapped task has something to do."""
    found = batch(requests_of(sizes), max_objects=max_objects, max_size=max_size)

    assert all(one.requests for one in found)


@given(sizes=sizes_to_copy, max_objects=max_objects_in_batch, max_size=max_sizes)
def test_batches_are_numbered_from_zero(sizes: list[int], max_objects: int, max_size: int) -> None:
    """A batch's index is its place."""
    found = batch(requests_of(sizes), max_objects=max_objects, max_size=max_size)

    assert [one.index for one in found] == list(range(len(found)))


@given(sizes=sizes_to_copy, max_objects=max_objects_in_batch, max_size=max_sizes)
def test_a_batch_keeps_its_limits(sizes: list[int], max_objects: int, max_size: int) -> None:
    """It has at most so many objects, and at most so many bytes unless it is one object."""
    found = batch(requests_of(sizes), max_objects=max_objects, max_size=max_size, max_batches=UNBOUNDED)

    assert all(len(one.requests) <= max_objects for one in found)
    assert all(one.size <= max_size or len(one.requests) == 1 for one in found)


@given(sizes=sizes_to_copy, max_objects=max_objects_in_batch, max_size=max_sizes)
def test_a_huge_object_stands_alone(sizes: list[int], max_objects: int, max_size: int) -> None:
    """An object that fills a batch shares it with no other."""
    found = batch(requests_of(sizes), max_objects=max_objects, max_size=max_size, max_batches=UNBOUNDED)

    assert [one for one in sizes_in(found) if len(one) > 1 and max(size or 0 for size in one) >= max_size] == []


@given(sizes=sizes_to_copy, max_objects=max_objects_in_batch, max_size=max_sizes, max_batches=st.integers(1, 70))
def test_the_same_objects_are_always_cut_alike(
    sizes: list[int], max_objects: int, max_size: int, max_batches: int
) -> None:
    """A plan that is made again has the same batches."""
    requests = requests_of(sizes)

    first = batch(requests, max_objects=max_objects, max_size=max_size, max_batches=max_batches)
    second = batch(tuple(requests), max_objects=max_objects, max_size=max_size, max_batches=max_batches)

    assert first == second


@pytest.mark.parametrize(
    ("objects", "size", "batches"),
    [
        pytest.param(10, 0, 2, id="by objects"),
        pytest.param(5, 0, 1, id="exactly one batch"),
        pytest.param(1, 10**9, 1, id="one huge object"),
        pytest.param(4, 10**9, 4, id="huge objects"),
    ],
)
def test_equal_objects_are_shared_equally(objects: int, size: int, batches: int) -> None:
    """Where the objects can be dealt out evenly, they are."""
    found = batch(requests_of([size] * objects), max_objects=5, max_size=1000)

    assert [len(one.requests) for one in found] == [objects // batches] * batches


@pytest.mark.parametrize("objects", [1001, 1999, 2500])
def test_the_last_batch_is_no_small_remainder(objects: int) -> None:
    """Objects of equal size that need several batches are shared so that none is much smaller than the others."""
    found = batch(requests_of([0] * objects), max_objects=1000, max_size=1000)

    lengths = [len(one.requests) for one in found]
    assert max(lengths) - min(lengths) <= 1


def test_a_huge_object_among_small_ones_is_cut_out() -> None:
    """The small ones before and after it are batches of their own."""
    found = batch(requests_of([1, 1, 10**6, 1, 1]), max_objects=100, max_size=1000)

    assert sizes_in(found) == [[1, 1], [10**6], [1, 1]]


def test_many_small_objects_beside_a_huge_one_keep_their_limit() -> None:
    """The huge object does not make the others' batches large."""
    found = batch(requests_of([10**12] + [1000] * 50_000), max_objects=1000)

    assert max(len(one.requests) for one in found) <= 1000


def test_more_objects_than_planned_for_fit_the_map() -> None:
    """More objects than the batches were meant for make the batches larger."""
    found = batch(requests_of([0] * 30_000), max_objects=10)

    assert len(found) <= MAX_BATCHES
    assert max(len(one.requests) for one in found) <= 40


def test_nothing_to_copy_makes_no_batch() -> None:
    """A sync without changes maps over nothing."""
    assert batch([]) == []


def test_a_batch_knows_its_size() -> None:
    """It is the sum of its objects' sizes, where they are known."""
    requests = [CopyRequest("a", "a", size=5), CopyRequest("b", "b"), CopyRequest("c", "c", size=7)]

    assert Batch(0, requests).size == 12
