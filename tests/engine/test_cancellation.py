"""The switch that stops a copy."""

from __future__ import annotations

import threading
import time

import pytest

from airflow_s3_azure.engine.cancellation import Cancellation
from airflow_s3_azure.engine.errors import Cancelled


def test_an_unset_interruption_lets_work_go_on() -> None:
    """Looking at it does nothing."""
    cancellation = Cancellation()

    cancellation.check()

    assert not cancellation.is_set()


def test_a_set_interruption_stops_work_with_its_reason() -> None:
    """The error says why, and that what is staged is not lost."""
    cancellation = Cancellation()
    cancellation.set("SIGTERM")

    with pytest.raises(Cancelled) as caught:
        cancellation.check()

    assert str(caught.value) == "SIGTERM; what is staged in Azure stays there for the next try"


def test_an_interrupted_copy_may_be_tried_again() -> None:
    """The next try resumes."""
    assert Cancelled("stopped").retryable


def test_the_first_reason_is_kept() -> None:
    """What follows from the first cancellation does not hide it."""
    cancellation = Cancellation()
    cancellation.set("first")

    cancellation.set("second")

    with pytest.raises(Cancelled, match=r"^first;"):
        cancellation.check()


def test_sleep_ends_by_itself() -> None:
    """A wait that nobody interrupts takes as long as it was asked to."""
    started = time.monotonic()

    Cancellation().sleep(0.01)

    assert 0.01 <= time.monotonic() - started < 1


def test_sleep_does_not_begin_when_set() -> None:
    """Once stopped, nothing waits any more."""
    cancellation = Cancellation()
    cancellation.set("stopped")
    started = time.monotonic()

    with pytest.raises(Cancelled):
        cancellation.sleep(60)

    assert time.monotonic() - started < 1


def test_sleep_ends_when_another_thread_sets_it() -> None:
    """A wait of a minute ends at once."""
    cancellation = Cancellation()
    timer = threading.Timer(0.02, cancellation.set, ["stopped"])
    started = time.monotonic()
    timer.start()

    with pytest.raises(Cancelled):
        cancellation.sleep(60)

    timer.join()
    assert time.monotonic() - started < 1


def test_a_cut_ends_what_workers_are_blocked_in() -> None:
    """Everything that asked for it is closed."""
    cancellation, closed = Cancellation(), list[str]()
    cancellation.on_abort(lambda: closed.append("one"))
    cancellation.on_abort(lambda: closed.append("other"))

    cancellation.abort()

    assert closed == ["one", "other"]


def test_setting_cuts_nothing() -> None:
    """It is all that a signal handler does, and closing sockets is not for signal handlers."""
    cancellation, closed = Cancellation(), list[str]()
    cancellation.on_abort(lambda: closed.append("one"))

    cancellation.set("SIGTERM")

    assert closed == []
