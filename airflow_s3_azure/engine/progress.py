"""The progress of a copy, and its text."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")


@dataclass(frozen=True, slots=True)
class Progress:
    """The progress of one call of ``copy_objects``.

    :param objects: finished, with any result
    :param size: bytes staged or put, or found staged
    :param total: bytes of all objects begun so far
    :param seconds: since the start
    """

    objects: int
    size: int
    total: int
    seconds: float

    def describe(self, total: int | None = None) -> str:
        """Return one line: ``42 % of 3.1 GiB, 85.3 MiB/s, 0:00:21 left``.

        :param total: bytes in all, if the caller knows of objects that are not begun yet
        """
        total = self.total if total is None else total
        rate = self.size / self.seconds if self.seconds > 0 else 0.0
        left = duration_text((total - self.size) / rate) if rate and total >= self.size else "unknown"
        percent = min(100 * self.size // total, 100) if total else 100
        return f"{percent} % of {size_text(total)}, {size_text(rate)}/s, {left} left"


def size_text(size: float) -> str:
    """Return bytes in the largest suitable unit, such as ``3.1 GiB``."""
    for unit in _UNITS:
        if abs(size) < 1023.95 or unit == _UNITS[-1]:  # 1023.95 and more would be rounded to 1024
            return f"{size:.0f} {unit}" if unit == "B" or abs(size) >= 99.95 else f"{size:.1f} {unit}"
        size /= 1024
    raise AssertionError("unreachable")


def count_text(count: int, noun: str) -> str:
    """Return a count and its noun, such as ``1 batch`` or ``1,204 blocks``."""
    plural = f"{noun}es" if noun.endswith("ch") else f"{noun}s"
    return f"{count:,} {noun if count == 1 else plural}"


def duration_text(seconds: float) -> str:
    """Return seconds as ``h:mm:ss``, after the days if there are any."""
    return str(timedelta(seconds=round(seconds)))
