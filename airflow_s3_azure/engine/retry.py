"""Retries one request while its errors are transient, with jittered backoff and the server's Retry-After."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from airflow_s3_azure.engine.cancellation import Cancellation
from airflow_s3_azure.engine.errors import TransferError
from airflow_s3_azure.engine.quoting import get_logger

log = get_logger(__name__)

Result = TypeVar("Result")

_MAX_DOUBLINGS = 64
"""Beyond these every bound is ``max_wait``; larger powers would overflow a float."""


def _ignore(error: TransferError) -> None:
    del error


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how soon a request is sent again.

    :param attempts: requests in all, the first one included
    :param throttled_attempts: the same while a server throttles, which may last for minutes
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
        on_retry: Callable[[TransferError], None] = _ignore,
    ) -> Result:
        """Return what ``function`` returns, calling it again while it raises a transient :class:`TransferError`.

        :param on_retry: called with the error before each further attempt
        :raises TransferError: the last one, when all attempts are used up or it is not transient
        :raises Cancelled: while waiting
        """
        failures = 0
        while True:
            try:
                return function()
            except TransferError as error:
                failures += 1
                attempts = self._attempts_after(error)
                if not error.transient or failures >= attempts:
                    raise
                # Without its traceback, whose frames hold a block's buffer.
                failure = error.with_traceback(None)
            # Outside the handler, so that no later error has this one as its context.
            cancellation.check()
            seconds = self._wait_after(failure, failures)
            log.warning("attempt %d of %d failed, next in %.1f s: %s", failures, attempts, seconds, failure)
            on_retry(failure)
            cancellation.sleep(seconds)

    def _attempts_after(self, error: TransferError) -> int:
        """Return how many requests are allowed in all, by the error of the last one."""
        if error.throttled:
            return max(self.attempts, self.throttled_attempts)
        return min(self.attempts, error.attempts or self.attempts)

    def _wait_after(self, error: TransferError, failures: int) -> float:
        """Return the seconds to wait: random, so that workers that failed together do not retry together."""
        bound = min(self.max_wait, self.first_wait * 2.0 ** min(failures - 1, _MAX_DOUBLINGS))
        return max(error.retry_after or 0.0, random.uniform(0.0, bound))  # noqa: S311 - jitter, no secret
