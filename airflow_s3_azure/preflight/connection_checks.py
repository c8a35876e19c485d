"""The checks of both hosts: TLS, the clock, and connections that were idle."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit

from airflow_s3_azure.engine.errors import TransferError
from airflow_s3_azure.preflight.finding import Finding, amber, green, red
from airflow_s3_azure.preflight.subject import Exchanges

CLOCK_TOLERANCE = 60.0
"""Seconds. A larger difference shortens the life of signed requests."""
CLOCK_LIMIT = 15 * 60.0
"""Seconds. S3 and Azure reject requests of a clock that differs more."""


def tls(exchanges: Exchanges, request: Callable[[], object]) -> Finding:
    """Send a request, and check its connection. A refusal is a response, too."""
    try:
        request()
    except TransferError:
        if not exchanges.count:
            raise
    last = exchanges.last
    host = urlsplit(last.origin).netloc.rpartition("@")[2]
    if last.tls_version is None:
        return amber(f"{host} over plain HTTP", "content and signed requests can be read and changed in transit")
    return green(f"{last.tls_version} to {host}, certificate verified")


def clock(exchanges: Exchanges, service: str) -> Finding:
    """Check the difference between this machine's clock and a service's."""
    difference = exchanges.clock_difference
    if difference is None:
        return amber(f"{service} sent no date", "whether signed requests are valid is not known")
    seconds = abs(difference)
    # A date in a header has whole seconds.
    how = (
        "less than 2 s apart"
        if seconds < 2
        else f"{seconds:,.0f} s {'ahead of' if difference > 0 else 'behind'} {service}'s"
    )
    detail = how if seconds < 2 else f"the clock of this worker is {how}"
    if seconds >= CLOCK_LIMIT:
        return red(f"{detail}; {service} rejects requests that are more than 15 minutes off")
    if seconds >= CLOCK_TOLERANCE:
        return amber(detail, "signed requests expire early; from 15 minutes on they are rejected")
    return green(detail)
