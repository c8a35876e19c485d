"""How tasks are tried again: by what their error says, where Airflow can (from 3.3 on); else by time alone."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

SOON = timedelta(seconds=10)
"""After an error that waiting does not mend: the next try plans or resumes at once."""


def retry_arguments(retries: int, retry_delay: timedelta) -> dict[str, Any]:
    """Return an operator's arguments for retries with growing delays.

    A source that changed and a copy that was interrupted are tried again at once: nobody is in trouble. Errors that
    no retry can mend fail their task whatever is set here.

    :param retries: at most so many
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
    rule = RetryRule(exception=soon, action=RetryAction.RETRY, retry_delay=SOON, reason="goes on where it stopped")
    return {**arguments, "retry_policy": ExceptionRetryPolicy([rule])}
