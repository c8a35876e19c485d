"""Checks that an Airflow connection exists, and defines the user agent for both services."""

from __future__ import annotations

from typing import Any

from airflow.sdk import BaseHook
from airflow.sdk.exceptions import AirflowNotFoundException

import airflow_s3_azure
from airflow_s3_azure.engine.errors import ConfigurationError

USER_AGENT = f"airflow-s3-azure/{airflow_s3_azure.__version__}"


_OTHER_CLOUD = {"aws": "wasb", "wasb": "aws"}


def require_connection(argument: str, conn_id: str | None, conn_type: str) -> None:
    """Check that a connection exists and is not one of the other cloud. None is boto3's default credentials.

    :param argument: name of the operator's argument, for the error
    :raises ConfigurationError: if it does not exist, or is of the other cloud
    """
    if conn_id is None:
        return
    try:
        found = BaseHook.get_connection(conn_id).conn_type
    except AirflowNotFoundException:
        # S3Hook would only warn, and continue with the worker's default credentials.
        raise ConfigurationError(
            f"there is no Airflow connection {conn_id!r} ({argument}); add it under Admin → Connections, "
            f"or set AIRFLOW_CONN_{conn_id.upper()}"
        ) from None
    if found == _OTHER_CLOUD[conn_type]:
        raise ConfigurationError(
            f"{argument} is {conn_id!r}, a connection of type {found!r}; it takes one of type {conn_type!r}: are "
            "aws_conn_id and wasb_conn_id swapped?"
        )


def has_login(url: str) -> bool:
    """Return whether the URL of an account or endpoint, perhaps with a SAS, holds a login: nothing else in it has an ``@``.

    A password that holds ``/``, ``?`` or ``#`` looks like a path, a query or a fragment.
    """
    return "@" in url


def proxies_of(found: Any, connection: str) -> dict[str, str]:
    """Return the proxies in a connection's extra; none if it has none.

    :raises ConfigurationError: if they are no mapping. The error does not quote them: a proxy's URL may hold a password
    """
    if found is None or isinstance(found, dict):
        return found or {}
    raise ConfigurationError(
        f"the proxies of {connection} are of type {type(found).__name__}; they take a URL for each scheme: "
        '{"https": "http://proxy.example:3128"}'
    )
