"""Looking an Airflow connection up, and the name under which both services see this package."""

from __future__ import annotations

from airflow.sdk import BaseHook
from airflow.sdk.exceptions import AirflowNotFoundException

import airflow_s3_azure
from airflow_s3_azure.engine.errors import ConfigurationError

USER_AGENT = f"airflow-s3-azure/{airflow_s3_azure.__version__}"


def require_connection(argument: str, conn_id: str | None) -> None:
    """Do nothing if there is such a connection, or none is named.

    :param argument: the operator's, for the error
    :raises ConfigurationError: if it is missing
    """
    if conn_id is None:
        return
    try:
        BaseHook.get_connection(conn_id)
    except AirflowNotFoundException:
        # S3Hook would only warn, and go on with whatever credentials the worker happens to have.
        raise ConfigurationError(
            f"there is no Airflow connection {conn_id!r} ({argument}); add it under Admin → Connections, "
            f"or set AIRFLOW_CONN_{conn_id.upper()}"
        ) from None
