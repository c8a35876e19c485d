"""Keys by the day that is written in them, with one listing for any range. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date

from airflow_s3_azure.engine.errors import ConfigurationError
from airflow_s3_azure.sync.batch import shared_start

_DIGITS = {"Y": r"(?P<Y>\d{4})", "m": r"(?P<m>\d\d)", "d": r"(?P<d>\d\d)"}
_FIELD = re.compile("%(.?)")


@dataclass(frozen=True, slots=True)
class DayRange:
    """A choice among keys by the day that follows a prefix.

    :param prefix: literal text before the day
    :param day_folder: how the day follows, with ``%Y``, ``%m`` and ``%d``, such as ``%Y/%m/%d/`` or ``dt=%Y-%m-%d/``.
        Without ``%d`` a key is chosen if any day of its month is
    :param first: None: the range has no beginning
    :param last: this day too; None: the range has no end
    :raises ConfigurationError: if the format has other fields, or the first day is after the last
    """

    prefix: str
    day_folder: str
    first: date | None = None
    last: date | None = None
    _fields: str = field(init=False, repr=False, compare=False)
    _pattern: re.Pattern[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        fields = "".join(one for one in _FIELD.findall(self.day_folder) if one != "%")
        if (
            "Y" not in fields
            or ("d" in fields and "m" not in fields)
            or len(set(fields)) < len(fields)
            or set(fields) - set(_DIGITS)
        ):
            raise ConfigurationError(
                f"day_folder is {self.day_folder!r}; it takes %Y, %m and %d, each once, such as '%Y/%m/%d/' or "
                "'dt=%Y-%m-%d/'"
            )
        if self.first and self.last and self.first > self.last:
            raise ConfigurationError(
                f"first_day ({self.first}) is after last_day ({self.last}): no key can be selected"
            )
        object.__setattr__(self, "_fields", fields)
        object.__setattr__(self, "_pattern", re.compile(re.escape(self.prefix) + self._filled(_DIGITS, re.escape)))

    def __contains__(self, key: str) -> bool:
        match = self._pattern.match(key)
        if match is None:
            return False
        found = tuple(int(match[name]) for name in "Ymd" if name in self._fields)
        if self.first and found < self._parts(self.first):
            return False
        return not (self.last and found > self._parts(self.last))

    @property
    def shared_prefix(self) -> str:
        """What all keys of the range begin with."""
        low, high = self.first or date.min, self.last or date.max
        if not "Ymd".startswith(self._fields):  # the day before the month: the ends of the range share too much
            return self.prefix + self._before_the_day()
        return self.prefix + shared_start(self._of(low), self._of(high))

    def _parts(self, day: date) -> tuple[int, ...]:
        return (day.year, day.month, day.day)[: len(self._fields)]

    def _of(self, day: date) -> str:
        return self._filled({"Y": f"{day.year:04d}", "m": f"{day.month:02d}", "d": f"{day.day:02d}"})

    def _before_the_day(self) -> str:
        return self._filled(dict.fromkeys("Ymd", "\0")).partition("\0")[0]

    def _filled(self, values: dict[str, str], escape: Callable[[str], str] = str) -> str:
        pieces = _FIELD.split(self.day_folder)
        # Literal text and the letters of the fields alternate.
        return "".join(
            escape(piece) if number % 2 == 0 else values.get(piece, escape("%")) for number, piece in enumerate(pieces)
        )
