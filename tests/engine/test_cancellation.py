"""The switch that stops a copy."""

from __future__ import annotations

import threading

import pytest

from airflow_s3_azure.engine.cancellation import Cancellation
from airflow_s3_azure.engine.errors import Cancelled

PATIENCE = 60.0
"""Seconds, which a test takes only if it fails."""


def test_an_unset_cancellation_lets_work_continue() -> None:
    """Checking it does nothing."""
    cancellation = Cancellation()

    cancellation.check()

    assert not cancellation.is_set()


def test_a_set_cancellation_stops_work_with_its_reason() -> None:
    """The error names the reason, and that staged blocks are not lost."""
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
    """A wait that is not cancelled ends."""
    Cancellation().sleep(0.01)


def test_sleep_does_not_begin_when_set() -> None:
    """Once stopped, nothing waits any more."""
    cancellation = Cancellation()
    cancellation.set("stopped")

    with pytest.raises(Cancelled):
        cancellation.sleep(PATIENCE)


def test_sleep_ends_when_another_thread_sets_it() -> None:
    """The wait ends, although its time is not over."""
    cancellation = Cancellation()
    timer = threading.Timer(0.02, cancellation.set, ["stopped"])
    timer.start()

    with pytest.raises(Cancelled):
        cancellation.sleep(PATIENCE)

    timer.join()


def test_an_abort_ends_what_workers_are_blocked_in() -> None:
    """Every registered callback is called."""
    cancellation, closed = Cancellation(), list[str]()
    cancellation.on_abort(lambda: closed.append("one"))
    cancellation.on_abort(lambda: closed.append("other"))

    cancellation.abort()

    assert closed == ["one", "other"]


def test_setting_aborts_nothing() -> None:
    """It is all that a signal handler does, and closing sockets is not for signal handlers."""
    cancellation, closed = Cancellation(), list[str]()
    cancellation.on_abort(lambda: closed.append("one"))

    cancellation.set("SIGTERM")

    assert closed == []
