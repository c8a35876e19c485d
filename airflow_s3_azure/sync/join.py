"""Holding two listings against each other as they come, without keeping either. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal, TypeVar

Left = TypeVar("Left")
Right = TypeVar("Right")
Side = Literal["source", "destination"]


class OutOfOrder(Exception):
    """A listing is not in the order of its names' UTF-8 bytes.

    :param side: whose
    """

    def __init__(self, side: Side) -> None:
        super().__init__(side)
        self.side: Side = side


def join(
    source: Iterable[tuple[str, Left]], destination: Iterable[tuple[str, Right]]
) -> Iterator[tuple[str, Left | None, Right | None]]:
    """Yield each name with what either side has under it. Both sides come by name in ascending order.

    Where the source has a name several times, each is yielded with what the destination has.

    :raises OutOfOrder: as soon as a side turns out not to ascend; what was yielded may be wrong
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


def _ascending(entries: Iterable[tuple[str, Right]], side: Side) -> Iterator[tuple[str, Right]]:
    last = ""
    for entry in entries:
        if entry[0] < last:
            raise OutOfOrder(side)
        last = entry[0]
        yield entry
