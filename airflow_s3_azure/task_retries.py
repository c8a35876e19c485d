"""The retry policy of tasks: by the class of the error from Airflow 3.3 on, before that by time alone."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

__all__ = ["retry_arguments"]

SOON = timedelta(seconds=10)
"""Retry delay after errors that need no backoff: the next try plans again or resumes."""


def retry_arguments(retries: int, retry_delay: timedelta) -> dict[str, Any]:
    """Return an operator's arguments for retries with exponential backoff.

    A source that changed and a cancelled copy are retried after 10 s: no backoff is needed. Errors that are not retryable
    fail their task immediately.

    :param retries: maximum number
    :param retry_delay: before the first retry; doubled for each further one
    """
    arguments = {"retries": retries, "retry_delay": retry_delay, "retry_exponential_backoff": 2.0}
    try:
        from airflow.sdk import ExceptionRetryPolicy, RetryAction, RetryRule
    except ImportError:
        return arguments
    soon: list[type[BaseException] | str] = [
        "airflow_s3_azure.engine.errors.SourceChanged",
        "airflow_s3_azure.engine.errors.BatchChanged",
        "airflow_s3_azure.engine.errors.Cancelled",
    ]
    rule = RetryRule(exception=soon, action=RetryAction.RETRY, retry_delay=SOON, reason="resumes")
    return {**arguments, "retry_policy": ExceptionRetryPolicy([rule])}
