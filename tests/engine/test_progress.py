"""Progress in words."""

from __future__ import annotations

import pytest

from airflow_s3_azure.engine.progress import Progress, duration_text, size_text

MIB = 1024**2


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (1, "1 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1536, "1.5 KiB"),
        (99.5 * 1024, "99.5 KiB"),
        (100 * 1024, "100 KiB"),
        (8 * MIB, "8.0 MiB"),
        (3.1 * 1024**3, "3.1 GiB"),
        (50 * 10**12, "45.5 TiB"),
        (2 * 1024**5, "2.0 PiB"),
        (5000 * 1024**5, "5000 PiB"),
    ],
)
def test_a_size_is_formatted_in_a_readable_unit(size: float, text: str) -> None:
    """The unit keeps the number small, and small numbers get a decimal."""
    assert size_text(size) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0:00:00"),
        (0.4, "0:00:00"),
        (59.6, "0:01:00"),
        (21, "0:00:21"),
        (3723, "1:02:03"),
        (86400, "1 day, 0:00:00"),
        (2 * 86400 + 1, "2 days, 0:00:01"),
    ],
)
def test_a_duration_is_formatted_as_a_clock(seconds: float, text: str) -> None:
    """Days come first where there are any."""
    assert duration_text(seconds) == text


def test_progress_is_described_in_one_line() -> None:
    """Percent, size, rate and time left, from what was moved so far."""
    progress = Progress(objects=3, size=100 * MIB, total=400 * MIB, seconds=10.0)

    assert progress.describe() == "25 % of 400 MiB, 10.0 MiB/s, 0:00:30 left"


def test_the_rate_is_that_of_this_execution() -> None:
    """Bytes that an earlier execution copied are done, and do not make this one faster."""
    progress = Progress(objects=3, size=900 * MIB, total=1000 * MIB, seconds=10.0, resumed=800 * MIB)

    assert progress.describe() == "90 % of 1000 MiB, 10.0 MiB/s, 0:00:10 left"


def test_nothing_moved_leaves_the_time_open() -> None:
    """Without a rate the end is unknown."""
    assert Progress(0, 0, 8 * MIB, 10.0).describe() == "0 % of 8.0 MiB, 0 B/s, unknown left"


def test_the_first_moment_has_no_rate() -> None:
    """No time passed, so nothing is divided by it."""
    assert Progress(0, MIB, 8 * MIB, 0.0).describe() == "12 % of 8.0 MiB, 0 B/s, unknown left"


def test_empty_objects_are_done_at_once() -> None:
    """Zero of zero bytes is all of them."""
    assert Progress(5, 0, 0, 1.0).describe() == "100 % of 0 B, 0 B/s, unknown left"


def test_percent_is_rounded_down() -> None:
    """100 percent means that everything is copied."""
    assert Progress(0, 999, 1000, 1.0).describe().startswith("99 % of")
