"""Two listings compared as they come."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_s3_azure.sync.join import Endpoint, OutOfOrder, join

names = st.text(st.characters(exclude_categories=["Cs"]), max_size=3) | st.text("ab/-", max_size=3)


@given(source=st.lists(st.tuples(names, st.integers())), destination=st.dictionaries(names, st.integers()))
def test_a_join_equals_a_dictionary_lookup(source: list[tuple[str, int]], destination: dict[str, int]) -> None:
    """Each of the source's entries comes with what the destination has, each of the destination's others alone."""
    source.sort(key=lambda entry: entry[0])

    found = list(join(source, sorted(destination.items())))

    known = {name for name, _ in source}
    model: list[tuple[str, int | None, int | None]] = [(name, one, destination.get(name)) for name, one in source]
    model += [(name, None, one) for name, one in destination.items() if name not in known]
    assert found == sorted(model, key=lambda entry: entry[0])


@given(entries=st.dictionaries(names, st.integers(), min_size=2), is_source=st.booleans())
def test_the_order_is_that_of_the_names_bytes(entries: dict[str, int], *, is_source: bool) -> None:
    """S3 and Azure sort by it."""
    ordered = sorted(entries.items(), key=lambda entry: entry[0].encode())
    listings = (ordered, []) if is_source else ([], ordered)

    assert len(list(join(*listings))) == len(entries)


@given(entries=st.lists(st.tuples(names, st.integers())), others=st.lists(names, unique=True), is_source=st.booleans())
def test_a_listing_out_of_order_is_named(entries: list[tuple[str, int]], others: list[str], *, is_source: bool) -> None:
    """At any position of either listing."""
    ordered: list[tuple[str, int]] = [(name, 0) for name in sorted(others)]
    is_ordered = [name for name, _ in entries] == sorted(name for name, _ in entries)
    endpoint: Endpoint = "source" if is_source else "destination"
    try:
        list(join(entries, ordered) if is_source else join(ordered, entries))
    except OutOfOrder as error:
        found: str | None = error.endpoint
    else:
        found = None

    assert found == (None if is_ordered else endpoint)


def test_a_join_reads_no_further_than_it_must() -> None:
    """One entry of each listing is held."""
    read = []

    def reading(endpoint: str, *entries: str) -> Iterator[tuple[str, str]]:
        for entry in entries:
            read.append(endpoint + entry)
            yield entry, endpoint

    joined = join(reading("s", "a", "c", "e"), reading("d", "b", "d"))

    assert next(joined) == ("a", "s", None)
    assert read == ["sa", "db"]


@pytest.mark.parametrize("empty", [0, 1])
def test_one_side_may_be_empty(empty: int) -> None:
    """A first sync has no blobs, and an emptied bucket no keys."""
    entries: list[list[tuple[str, int]]] = [[("a", 1), ("b", 2)], [("a", 1), ("b", 2)]]
    entries[empty] = []

    assert [name for name, *_ in join(*entries)] == ["a", "b"]
