"""Trying one request again."""

from __future__ import annotations

import logging
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_s3_azure.engine.cancellation import Cancellation
from airflow_s3_azure.engine.errors import (
    Cancelled,
    ConfigurationError,
    IntegrityError,
    SourceNotFound,
    SourceReadError,
    TransferError,
)
from airflow_s3_azure.engine.retry import RetryPolicy


class RecordedWaits(Cancellation):
    """Records each requested sleep, and returns at once."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[float] = []

    def sleep(self, seconds: float) -> None:
        """Record the seconds."""
        self.waits.append(seconds)
        self.check()


class Request:
    """Raises each of its errors once, then returns."""

    def __init__(self, *errors: BaseException, then: Callable[[], None] = lambda: None) -> None:
        self.errors = list(errors)
        self.calls = 0
        self._then = then

    def __call__(self) -> str:
        """Count the call, and raise or return."""
        self.calls += 1
        if self.errors:
            self._then()
            raise self.errors.pop(0)
        return "response"


def ignore(error: TransferError) -> None:
    """Ignore a retry."""


def transient(retry_after: float | None = None) -> SourceReadError:
    """Return an error that may pass within seconds."""
    return SourceReadError("busy", transient=True, retry_after=retry_after)


def test_a_first_response_is_returned_without_a_wait() -> None:
    """A success is not repeated."""
    request, cancellation = Request(), RecordedWaits()

    response = RetryPolicy().call(request, cancellation, ignore)

    assert (response, request.calls, cancellation.waits) == ("response", 1, [])


def test_a_transient_failure_is_tried_again() -> None:
    """The response of a later attempt counts."""
    request = Request(transient(), transient())

    response = RetryPolicy().call(request, RecordedWaits(), ignore)

    assert (response, request.calls) == ("response", 3)


def test_a_throttling_server_is_given_time() -> None:
    """Twice as many attempts, whose waits grow to half a minute."""
    errors = [SourceReadError("SlowDown", transient=True, throttled=True) for _ in range(20)]
    request, cancellation = Request(*errors), RecordedWaits()

    with pytest.raises(SourceReadError):
        RetryPolicy().call(request, cancellation, ignore)

    assert (request.calls, len(cancellation.waits)) == (12, 11)


def test_each_further_attempt_is_counted() -> None:
    """The callback is called for retries, not for first attempts."""
    retries: list[TransferError] = []

    RetryPolicy().call(Request(transient(), transient()), RecordedWaits(), retries.append)

    assert len(retries) == 2


@pytest.mark.parametrize("attempts", [1, 2, 6])
def test_attempts_are_bounded(attempts: int) -> None:
    """After the last attempt, the last error is raised as it is."""
    errors = [transient() for _ in range(10)]
    request = Request(*errors)

    with pytest.raises(SourceReadError) as caught:
        RetryPolicy(attempts=attempts).call(request, RecordedWaits(), ignore)

    assert request.calls == attempts
    assert caught.value is errors[attempts - 1]


@pytest.mark.parametrize(
    "error",
    [
        SourceReadError("no"),
        SourceNotFound("no"),
        IntegrityError("no"),
        ConfigurationError("no"),
        ValueError("no"),
        Cancelled("no"),
        KeyboardInterrupt("no"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_anything_else_is_raised_at_once(error: BaseException) -> None:
    """Only an error that is marked as transient is tried again."""
    request = Request(error)

    with pytest.raises(type(error)) as caught:
        RetryPolicy().call(request, RecordedWaits(), ignore)

    assert caught.value is error
    assert request.calls == 1


@given(first=st.floats(0.01, 1), longest=st.floats(0.01, 60))
def test_waits_stay_below_their_bounds(first: float, longest: float) -> None:
    """Each wait is at most twice the last bound, and none is longer than the longest."""
    cancellation = RecordedWaits()
    policy = RetryPolicy(attempts=6, first_wait=first, max_wait=longest)

    policy.call(Request(*[transient() for _ in range(5)]), cancellation, ignore)

    bounds = [min(first * 2**number, longest) for number in range(5)]
    assert all(0 <= wait <= bound for wait, bound in zip(cancellation.waits, bounds, strict=True))


def test_waits_are_jittered() -> None:
    """Many workers that were throttled at once do not come back at once."""
    cancellation = RecordedWaits()

    for _ in range(5):
        RetryPolicy(first_wait=8.0).call(Request(transient()), cancellation, ignore)

    assert len(set(cancellation.waits)) == 5


@pytest.mark.parametrize("retry_after", [1.0, 7.5, 600.0])
def test_a_longer_retry_after_is_obeyed(retry_after: float) -> None:
    """Retry-After takes precedence over the backoff and over its bound."""
    cancellation = RecordedWaits()

    RetryPolicy(first_wait=0.5, max_wait=0.5).call(Request(transient(retry_after)), cancellation, ignore)

    assert cancellation.waits == [retry_after]


def test_a_shorter_retry_after_does_not_shorten_the_backoff() -> None:
    """Retry-After: 0 does not disable the backoff."""
    cancellation = RecordedWaits()

    for _ in range(20):
        RetryPolicy(first_wait=8.0).call(Request(transient(0.0)), cancellation, ignore)

    assert max(cancellation.waits) > 0


def test_a_retry_after_counts_for_one_wait() -> None:
    """The next failure without one goes back to the backoff."""
    cancellation = RecordedWaits()

    RetryPolicy(first_wait=0.5, max_wait=0.5).call(Request(transient(9.0), transient()), cancellation, ignore)

    assert cancellation.waits[0] == 9.0
    assert cancellation.waits[1] <= 0.5


def test_a_cancellation_ends_the_attempts() -> None:
    """A request that fails when the copy is already stopped is not waited for."""
    cancellation = Cancellation()
    request = Request(*[transient(60.0) for _ in range(5)], then=lambda: cancellation.set("stopped"))

    with pytest.raises(Cancelled):
        RetryPolicy().call(request, cancellation, ignore)

    assert request.calls == 1


def test_each_retry_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    """The line has the attempt, the number of attempts, the wait and the cause."""
    request = Request(TransferError("busy", key="s3://b/k", transient=True, retry_after=2.0))

    with caplog.at_level(logging.WARNING):
        RetryPolicy(attempts=3, first_wait=0.1).call(request, RecordedWaits(), ignore)

    assert caplog.messages == ["attempt 1 of 3 failed, next in 2.0 s: busy ('s3://b/k')"]


def test_the_last_failure_is_not_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    """It is raised, and the caller logs it."""
    with pytest.raises(SourceReadError), caplog.at_level(logging.WARNING):
        RetryPolicy(attempts=1).call(Request(transient()), RecordedWaits(), ignore)

    assert caplog.messages == []
