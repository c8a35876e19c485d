"""The switch that stops a copy."""

from __future__ import annotations

import threading
import time

import pytest

from airflow_s3_azure.stream.errors import Interrupted
from airflow_s3_azure.stream.interruption import Interruption


def test_an_unset_interruption_lets_work_go_on() -> None:
    """Looking at it does nothing."""
    interruption = Interruption()

    interruption.check()

    assert not interruption.is_set()


def test_a_set_interruption_stops_work_with_its_reason() -> None:
    """The error says why, and that what is staged is not lost."""
    interruption = Interruption()
    interruption.set("SIGTERM")

    with pytest.raises(Interrupted) as caught:
        interruption.check()

    assert str(caught.value) == "SIGTERM; what is staged in Azure stays there for the next try"


def test_an_interrupted_copy_may_be_tried_again() -> None:
    """The next try resumes."""
    assert Interrupted("stopped").retryable


def test_the_first_reason_is_kept() -> None:
    """What follows from the first interruption does not hide it."""
    interruption = Interruption()
    interruption.set("first")

    interruption.set("second")

    with pytest.raises(Interrupted, match=r"^first;"):
        interruption.check()


def test_sleep_ends_by_itself() -> None:
    """A wait that nobody interrupts takes as long as it was asked to."""
    started = time.monotonic()

    Interruption().sleep(0.01)

    assert 0.01 <= time.monotonic() - started < 1


def test_sleep_does_not_begin_when_set() -> None:
    """Once stopped, nothing waits any more."""
    interruption = Interruption()
    interruption.set("stopped")
    started = time.monotonic()

    with pytest.raises(Interrupted):
        interruption.sleep(60)

    assert time.monotonic() - started < 1


def test_sleep_ends_when_another_thread_sets_it() -> None:
    """A wait of a minute ends at once."""
    interruption = Interruption()
    timer = threading.Timer(0.02, interruption.set, ["stopped"])
    started = time.monotonic()
    timer.start()

    with pytest.raises(Interrupted):
        interruption.sleep(60)

    timer.join()
    assert time.monotonic() - started < 1


def test_a_cut_ends_what_workers_are_blocked_in() -> None:
    """Everything that asked for it is closed."""
    interruption, closed = Interruption(), list[str]()
    interruption.at_cut(lambda: closed.append("one"))
    interruption.at_cut(lambda: closed.append("other"))

    interruption.cut()

    assert closed == ["one", "other"]


def test_setting_cuts_nothing() -> None:
    """It is all that a signal handler does, and closing sockets is not for signal handlers."""
    interruption, closed = Interruption(), list[str]()
    interruption.at_cut(lambda: closed.append("one"))

    interruption.set("SIGTERM")

    assert closed == []
