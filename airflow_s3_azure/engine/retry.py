"""Trying one request again: what may pass within seconds, with jittered backoff and the server's Retry-After."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception, wait_random_exponential

from airflow_s3_azure.engine.cancellation import Cancellation
from airflow_s3_azure.engine.errors import TransferError
from airflow_s3_azure.engine.quoting import get_logger

log = get_logger(__name__)

Result = TypeVar("Result")


def _nothing(error: TransferError) -> None:
    del error


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how soon a request is sent again.

    :param attempts: requests in all, the first one included
    :param throttled_attempts: the same where a server asks to be asked less often, which it may do for minutes
    :param first_wait: upper bound of the first wait, in seconds; each further bound is twice the last
    :param max_wait: upper bound of every wait, in seconds; a longer Retry-After is obeyed, up to five minutes
    """

    attempts: int = 6
    throttled_attempts: int = 12
    first_wait: float = 0.5
    max_wait: float = 30.0

    def call(
        self,
        function: Callable[[], Result],
        cancellation: Cancellation,
        on_retry: Callable[[TransferError], None] = _nothing,
    ) -> Result:
        """Return what ``function`` returns, calling it again while it raises a transient :class:`TransferError`.

        :param on_retry: called with the error before each further attempt
        :raises TransferError: the last one, when all attempts are used up or it is not transient
        :raises Cancelled: while waiting
        """
        # Nearly every request succeeds, and tenacity's machinery costs as much as a small request.
        try:
            return function()
        except TransferError as error:
            if not error.transient:
                raise
            failed: list[TransferError] = [error]

        def again() -> Result:
            if failed:
                raise failed.pop()
            return function()

        backoff = wait_random_exponential(multiplier=self.first_wait, max=self.max_wait)

        def wait(state: RetryCallState) -> float:
            error = state.outcome.exception() if state.outcome else None
            asked = error.retry_after if isinstance(error, TransferError) else None
            return max(asked or 0.0, backoff(state))

        def before_sleep(state: RetryCallState) -> None:
            cancellation.check()
            error = state.outcome.exception() if state.outcome else None
            log.warning(
                "attempt %d of %d failed, next in %.1f s: %s",
                state.attempt_number,
                self._most(error),
                state.next_action.sleep if state.next_action else 0.0,
                error,
            )
            if isinstance(error, TransferError):
                on_retry(error)

        def stop(state: RetryCallState) -> bool:
            return state.attempt_number >= self._most(state.outcome.exception() if state.outcome else None)

        return Retrying(
            stop=stop,
            wait=wait,
            retry=retry_if_exception(lambda error: isinstance(error, TransferError) and error.transient),
            sleep=cancellation.sleep,
            before_sleep=before_sleep,
            reraise=True,
        )(again)

    def _most(self, error: BaseException | None) -> int:
        """Return how many requests there may be in all, by the error of the last one."""
        if not isinstance(error, TransferError):
            return self.attempts
        if error.throttled:
            return max(self.attempts, self.throttled_attempts)
        return min(self.attempts, error.attempts or self.attempts)
