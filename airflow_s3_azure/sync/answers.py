"""What an answer of Azure says went wrong, in words that hold no URL."""

from __future__ import annotations

from typing import TYPE_CHECKING

from azure.core.exceptions import HttpResponseError

from airflow_s3_azure.engine.http.session import describe

if TYPE_CHECKING:
    from azure.core.exceptions import AzureError


def answer_text(error: AzureError) -> str:
    """Say what Azure answered, or why there was no answer."""
    if isinstance(error, HttpResponseError) and error.status_code:
        code = getattr(error, "error_code", None) or error.reason
        return f"Azure answered {error.status_code} {getattr(code, 'value', code)}"
    return describe(error)
