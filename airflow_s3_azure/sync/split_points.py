"""Where to split a range of names of which only the beginning is known. Pure.

Names are read as numbers: each position is a digit, whose base is the alphabet of that position. Where the known names
have some digits, or some hexadecimal digits or letters, the alphabet has all of them. The names ahead are then assumed to
have the density of the known ones. For counters, dates, hashes and UUIDs this is nearly right. A wrong guess is harmless: a
range becomes longer or shorter than intended.
"""

from __future__ import annotations

import string
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise, takewhile
from typing import Self

_PRECISION = 32
"""Positions of a name that count, from the first one at which the known names differ."""
_CLASSES = ((string.digits,), ("abcdef", string.ascii_lowercase), ("ABCDEF", string.ascii_uppercase))
"""Characters that occur together, the narrower class first."""


@dataclass(frozen=True, slots=True)
class Density:
    """How far apart the pages of a listing are.

    :param marks: names with one page between each two: the first name, and the last names of the pages; at least two
    :param sample: names of that part of the listing, which show the alphabets
    """

    marks: Sequence[str]
    sample: Sequence[str]

    @property
    def last(self) -> str:
        """The last name."""
        return self.marks[-1]

    def ahead(self, name: str, pages: int) -> str | None:
        """Return a text that is about so many pages ahead of a name; None if the density does not tell."""
        scale = _Scale.of([*self.sample, *self.marks, name])
        step = self._step(scale)
        found = scale.text(scale.number(name) + step * pages)
        return found if step > 0 and found is not None and found > name else None

    def pages_between(self, name: str, stop: str) -> float:
        """Return about how many pages there are between two names; 0 if the density does not tell."""
        scale = _Scale.of([*self.sample, *self.marks, name])
        step = self._step(scale)
        return (scale.number(stop) - scale.number(name)) / step if step > 0 else 0.0

    def _step(self, scale: _Scale) -> int:
        """Return the distance of two pages: the mean without the largest one, which may be a gap between two names."""
        numbers = list(map(scale.number, self.marks))
        steps = sorted(after - before for before, after in pairwise(numbers))
        near = steps[:-1] if len(steps) > 2 and steps[-2] > 0 else steps
        return sum(near) // len(near)


@dataclass(frozen=True, slots=True)
class _Scale:
    """Maps names to numbers, in their order, and back.

    :param alphabets: characters by position, in order
    """

    alphabets: tuple[str, ...]

    @classmethod
    def of(cls, names: Iterable[str]) -> Self:
        known = list(names)
        low, high = min(known), max(known)
        same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(low, high, strict=False)))
        columns = [{name[at] for name in known if at < len(name)} for at in range(same, same + _PRECISION)]
        # All names between the lowest and the highest have the beginning that these two share.
        return cls(tuple(map(_alphabet, [*map(set, low[:same]), *columns])))

    def number(self, name: str) -> int:
        total, is_exact = 0, True
        for at, alphabet in enumerate(self.alphabets):
            digit = 0
            if is_exact and at < len(name) and alphabet:
                digit = bisect_left(alphabet, name[at])
                # After a character between two of the alphabet, the rest does not matter.
                is_exact = digit < len(alphabet) and alphabet[digit] == name[at]
                digit = min(digit, len(alphabet) - 1)
            total = total * max(len(alphabet), 1) + digit
        return total

    def text(self, number: int) -> str | None:
        """Return the text of a number; None if it is beyond all texts."""
        characters = []
        for alphabet in reversed(self.alphabets):
            number, digit = divmod(number, max(len(alphabet), 1))
            characters.append(alphabet[digit] if alphabet else "")
        return None if number else "".join(reversed(characters))


def _alphabet(column: set[str]) -> str:
    """Return the characters that a position may have, from those that it has: of a class of characters, all."""
    found = set(column)
    for classes in _CLASSES:
        seen = column.intersection(classes[-1])
        if seen:
            found.update(next(one for one in classes if seen.issubset(one)))
    return "".join(sorted(found))
