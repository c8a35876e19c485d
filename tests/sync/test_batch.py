"""Partitioning the objects to copy into batches, in their order."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_s3_azure.sync.batch import MAX_BATCHES, Batcher, ManifestRange, shared_start

UNBOUNDED = 10**9
"""More batches than any of these tests needs, so that no other limit is relaxed."""
LINE = 10
"""Bytes of each object's line."""

sizes_to_copy = st.lists(st.integers(0, 2000) | st.sampled_from([0, 10**6]), max_size=60)
many_sizes = st.lists(st.integers(0, 2000) | st.sampled_from([0, 10**6]), min_size=100, max_size=400)
max_objects_in_batch = st.integers(1, 20)
max_sizes = st.integers(1, 3000)


def partition(sizes: list[int], **limits: Any) -> list[ManifestRange]:
    """Return the batches of objects of these sizes."""
    batcher = Batcher(**limits)
    for number, size in enumerate(sizes):
        batcher.add(ManifestRange.of(f"{number:06}", size, number * LINE, (number + 1) * LINE))
    return batcher.batches()


def sizes_in(sizes: list[int], batches: list[ManifestRange]) -> list[list[int]]:
    """Return the sizes in each batch."""
    return [sizes[one.start // LINE : one.stop // LINE] for one in batches]


def assert_whole(sizes: list[int], batches: list[ManifestRange]) -> None:
    """Assert that the batches are the objects, in their order, each once, and describe their content."""
    assert [0, *(one.stop for one in batches)] == [*(one.start for one in batches), len(sizes) * LINE]
    for one, found in zip(batches, sizes_in(sizes, batches), strict=True):
        first, last = one.start // LINE, one.stop // LINE - 1
        shared = shared_start(f"{first:06}", f"{last:06}")
        assert found
        assert one == ManifestRange(one.start, one.stop, len(found), sum(found), f"{first:06}", f"{last:06}", shared)


@given(sizes=sizes_to_copy, max_objects=max_objects_in_batch, max_size=max_sizes, max_batches=st.integers(1, 70))
def test_batches_keep_the_order_and_lose_nothing(
    sizes: list[int], max_objects: int, max_size: int, max_batches: int
) -> None:
    """Their concatenation is the input; none is empty."""
    assert_whole(sizes, partition(sizes, max_objects=max_objects, max_size=max_size, max_batches=max_batches))


@given(sizes=sizes_to_copy, max_objects=max_objects_in_batch, max_size=max_sizes, max_batches=st.integers(1, 70))
def test_batches_are_never_more_than_allowed(
    sizes: list[int], max_objects: int, max_size: int, max_batches: int
) -> None:
    """Airflow refuses a longer map."""
    assert len(partition(sizes, max_objects=max_objects, max_size=max_size, max_batches=max_batches)) <= max_batches


@given(sizes=sizes_to_copy, max_objects=max_objects_in_batch, max_size=max_sizes)
def test_a_batch_keeps_its_limits(sizes: list[int], max_objects: int, max_size: int) -> None:
    """It has at most so many objects, and at most so many bytes unless it is one object."""
    found = partition(sizes, max_objects=max_objects, max_size=max_size, max_batches=UNBOUNDED)

    assert all(one.objects <= max_objects for one in found)
    assert all(one.size <= max_size or one.objects == 1 for one in found)


@given(sizes=sizes_to_copy, max_objects=max_objects_in_batch, max_size=max_sizes)
def test_a_huge_object_shares_its_batch_with_none(sizes: list[int], max_objects: int, max_size: int) -> None:
    """An object that fills a batch shares it with no other."""
    found = partition(sizes, max_objects=max_objects, max_size=max_size, max_batches=UNBOUNDED)

    assert [one for one in sizes_in(sizes, found) if len(one) > 1 and max(one) >= max_size] == []


@given(sizes=sizes_to_copy, max_objects=max_objects_in_batch, max_size=max_sizes, max_batches=st.integers(1, 70))
def test_the_same_objects_always_have_the_same_batches(
    sizes: list[int], max_objects: int, max_size: int, max_batches: int
) -> None:
    """A repeated plan has the same batches; reading them changes nothing."""
    batcher = Batcher(max_objects=max_objects, max_size=max_size, max_batches=max_batches)
    for number, size in enumerate(sizes):
        batcher.add(ManifestRange.of(f"{number:06}", size, number * LINE, (number + 1) * LINE))
    first = batcher.batches()

    again = partition(sizes, max_objects=max_objects, max_size=max_size, max_batches=max_batches)

    assert first == batcher.batches() == again


@given(
    sizes=many_sizes,
    max_objects=max_objects_in_batch,
    max_size=max_sizes,
    max_batches=st.integers(1, 20),
    max_ranges=st.integers(4, 16),
)
def test_runs_that_were_joined_early_lose_nothing(
    sizes: list[int], max_objects: int, max_size: int, max_batches: int, max_ranges: int
) -> None:
    """Of more objects than there are runs the batches are coarser, but still all objects, and no more than allowed."""
    found = partition(sizes, max_objects=max_objects, max_size=max_size, max_batches=max_batches, max_ranges=max_ranges)

    assert_whole(sizes, found)
    assert len(found) <= min(max_batches, max_ranges)


@pytest.mark.parametrize("objects", [17, 1000, 4321])
@pytest.mark.parametrize("size", [0, 7, 10**7])
def test_batches_of_joined_runs_are_balanced(objects: int, size: int) -> None:
    """Equal objects in sixteen runs make batches of which none has more than four times its share."""
    found = partition([size] * objects, max_objects=10, max_size=1000, max_batches=8, max_ranges=16)

    assert_whole([size] * objects, found)
    assert max(one.objects for one in found) <= max(10, 4 * objects / 8)
    assert len(found) >= 2


def test_a_huge_object_is_not_joined_with_others() -> None:
    """As long as a batch has room for the others."""
    sizes = [1] * 500 + [10**6] + [1] * 500
    found = sizes_in(sizes, partition(sizes, max_objects=1000, max_size=1000, max_batches=8, max_ranges=16))

    assert [10**6] in found


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
    """Where the objects can be partitioned evenly, they are."""
    found = partition([size] * objects, max_objects=5, max_size=1000)

    assert [one.objects for one in found] == [objects // batches] * batches


@pytest.mark.parametrize("objects", [1001, 1999, 2500])
def test_the_last_batch_is_no_small_remainder(objects: int) -> None:
    """Objects of equal size that need several batches are shared so that none is much smaller than the others."""
    lengths = [one.objects for one in partition([0] * objects, max_objects=1000, max_size=1000)]

    assert max(lengths) - min(lengths) <= 1


@given(objects=st.integers(1, 300), size=st.integers(1, 1000), max_objects=st.integers(1, 20))
def test_objects_of_one_size_make_batches_of_one_size(objects: int, size: int, max_objects: int) -> None:
    """Also where a batch is not quite filled by a whole number of them."""
    lengths = [one.objects for one in partition([size] * objects, max_objects=max_objects, max_size=2000)]

    assert max(lengths) - min(lengths) <= 1


def test_a_huge_object_among_small_ones_has_its_own_batch() -> None:
    """The small ones before and after it are batches of their own."""
    sizes = [1, 1, 10**6, 1, 1]

    assert sizes_in(sizes, partition(sizes, max_objects=100, max_size=1000)) == [[1, 1], [10**6], [1, 1]]


@pytest.mark.slow
def test_many_small_objects_beside_a_huge_one_keep_their_limit() -> None:
    """The huge object does not make the others' batches large."""
    found = partition([10**12] + [1000] * 50_000, max_objects=1000)

    assert max(one.objects for one in found) <= 1000


def test_more_objects_than_planned_for_fit_the_map() -> None:
    """More objects than the batches were meant for make the batches larger."""
    found = partition([0] * 30_000, max_objects=10)

    assert len(found) <= MAX_BATCHES
    assert max(one.objects for one in found) <= 40


def test_nothing_to_copy_makes_no_batch() -> None:
    """A sync without changes maps over nothing."""
    assert partition([]) == []


texts = st.text("ab/", max_size=12)


@given(one=texts, other=texts, start=texts)
def test_what_two_texts_share_is_the_longest_that_both_begin_with(one: str, other: str, start: str) -> None:
    """Not a character more, and not one less."""
    shared = shared_start(start + one, start + other)

    assert (start + one).startswith(shared)
    assert (start + other).startswith(shared)
    assert len(shared) >= len(start)
    follow = [text[len(shared) : len(shared) + 1] for text in (start + one, start + other)]
    assert follow[0] != follow[1] or follow == ["", ""]


@given(keys=st.lists(texts, min_size=1, max_size=20))
def test_what_a_batch_shares_is_what_all_its_keys_begin_with(keys: list[str]) -> None:
    """It is the batch's name in the UI."""
    batcher = Batcher(max_ranges=4, max_batches=1)
    for number, key in enumerate(keys):
        batcher.add(ManifestRange.of(key, 0, number, number + 1))

    (found,) = batcher.batches()

    assert all(key.startswith(found.shared) for key in keys)
    assert found.shared == min((shared_start(one, other) for one, other in pairwise([*keys, keys[0]])), key=len)


@pytest.mark.parametrize(
    ("objects", "batches", "largest"),
    [
        (900, 1, 900),
        (1999, 1, 1999),
        (4000, 4, 1000),
        (100_000, 16, 6250),
        pytest.param(300_000, 38, 7896, marks=pytest.mark.slow),
    ],
)
def test_small_objects_are_enough_work_for_a_task_and_enough_tasks_for_all_workers(
    objects: int, batches: int, largest: int
) -> None:
    """A task takes two seconds of CPU to start; few objects are divided all the same, so that each worker has a part."""
    found = partition([0] * objects)

    assert (len(found), max(one.objects for one in found)) == (batches, largest)
