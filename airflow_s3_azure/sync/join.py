"""Joins two sorted listings as they arrive, in constant memory: a merge join by name. Pure.

Invariant: every name below the smaller of the two current names has been yielded. It holds only while both listings
ascend, so each is checked, and the first descending name ends the join.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal, TypeVar

Left = TypeVar("Left")
Right = TypeVar("Right")
Endpoint = Literal["source", "destination"]


class OutOfOrder(Exception):
    """A listing is not in the order of its names' UTF-8 bytes.

    :param endpoint: whose listing it is
    """

    def __init__(self, endpoint: Endpoint) -> None:
        super().__init__(endpoint)
        self.endpoint: Endpoint = endpoint


def join(
    source: Iterable[tuple[str, Left]], destination: Iterable[tuple[str, Right]]
) -> Iterator[tuple[str, Left | None, Right | None]]:
    """Yield each name with its entry in the source and in the destination. Both listings ascend by name.

    Several entries of one name in the source are yielded one by one, each with the destination's entry.

    :raises OutOfOrder: at the first name that does not ascend; what was yielded before may be wrong
    """
    lefts, rights = _ascending(source, "source"), _ascending(destination, "destination")
    left, right = next(lefts, None), next(rights, None)
    while left is not None or right is not None:
        if right is None or (left is not None and left[0] < right[0]):
            assert left is not None
            yield left[0], left[1], None
            left = next(lefts, None)
        elif left is None or right[0] < left[0]:
            yield right[0], None, right[1]
            right = next(rights, None)
        else:
            name = left[0]
            while left is not None and left[0] == name:
                yield name, left[1], right[1]
                left = next(lefts, None)
            right = next(rights, None)


def _ascending(entries: Iterable[tuple[str, Right]], endpoint: Endpoint) -> Iterator[tuple[str, Right]]:
    last = ""
    for entry in entries:
        if entry[0] < last:
            raise OutOfOrder(endpoint)
        last = entry[0]
        yield entry
