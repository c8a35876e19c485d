"""The progress of a copy, and its text."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")


class ByteCounter(Protocol):
    """Counts bytes that are in Azure."""

    def __call__(self, size: int, *, resumed: bool = False) -> None:
        """Count bytes.

        :param resumed: whether an earlier execution staged them
        """


@dataclass(frozen=True, slots=True)
class Progress:
    """The progress of one execution: of ``copy_objects``, or of a batch.

    :param objects: finished, with any result
    :param size: bytes staged or put, by this execution or an earlier one
    :param total: bytes of all objects, as far as they are known
    :param seconds: since the start of this execution
    :param resumed: bytes of ``size`` that an earlier execution copied; they do not count for the rate
    """

    objects: int
    size: int
    total: int
    seconds: float
    resumed: int = 0

    def describe(self) -> str:
        """Return one line: ``42 % of 3.1 GiB, 85.3 MiB/s, 0:00:21 left``."""
        rate = (self.size - self.resumed) / self.seconds if self.seconds > 0 else 0.0
        left = duration_text((self.total - self.size) / rate) if rate and self.total >= self.size else "unknown"
        percent = min(100 * self.size // self.total, 100) if self.total else 100
        return f"{percent} % of {size_text(self.total)}, {size_text(rate)}/s, {left} left"


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
