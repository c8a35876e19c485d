"""Opens source and destination of a copy together, and checks what is copied against the guardrails."""

from __future__ import annotations

from collections.abc import Callable

from airflow_s3_azure.connections.aws import URL_SECONDS, S3Bucket, open_bucket
from airflow_s3_azure.connections.wasb import READ_SECONDS, AzureContainer, open_container
from airflow_s3_azure.endpoints import Endpoints
from airflow_s3_azure.engine.azure.source_range import STREAM_INSTEAD
from airflow_s3_azure.engine.cancellation import Cancellation
from airflow_s3_azure.engine.errors import (
    ConfigurationError,
)
from airflow_s3_azure.engine.http.observer import Observer
from airflow_s3_azure.engine.model import CopyRequest
from airflow_s3_azure.engine.options import CopyOptions
from airflow_s3_azure.engine.server_side.reachability import check_reachable
from airflow_s3_azure.guardrails import Guardrails

SERVER_SIDE_URL_SECONDS = 300
"""Validity of a URL that is sent to Azure. Azure starts to read at once, but the clocks may differ."""
SERVER_SIDE_SECONDS = 300.0
"""Read timeout of a server-side copy. Azure responds when it has read the block: 1 GiB at 3.5 MiB/s."""


def open_endpoints(
    endpoints: Endpoints,
    options: CopyOptions,
    cancellation: Cancellation,
    *,
    observers: tuple[Observer | None, Observer | None] = (None, None),
) -> tuple[S3Bucket, AzureContainer]:
    """Return source and destination of a copy; for a server-side copy, after a check that Azure can reach S3.

    :param observers: of the engine's requests to S3 and to Azure
    :raises ConfigurationError: if it cannot, or as :func:`open_bucket` and :func:`open_container` do
    :raises DestinationWriteError: as :func:`open_container` does
    """
    guardrails = Guardrails.configured()
    guardrails.check_mode(options.mode)
    if options.overwrite_archived:
        guardrails.check_delete("overwrite_archived", value=True)
    is_server_side = options.mode == "server_side"
    if is_server_side and endpoints.requester_pays:
        raise ConfigurationError(
            "mode='server_side' cannot read requester-pays buckets: Azure does not send the header in which the reader "
            f"agrees to pay; {STREAM_INSTEAD}"
        )
    container = open_container(
        endpoints.wasb_conn_id,
        endpoints.container_name,
        cancellation,
        create_container=endpoints.create_container,
        read_timeout=SERVER_SIDE_SECONDS if is_server_side else READ_SECONDS,
        encryption_scope=options.encryption_scope,
        on_exchange=observers[1],
    )
    bucket = open_bucket(
        endpoints.aws_conn_id,
        endpoints.s3_bucket,
        cancellation,
        max_concurrency=options.max_concurrency,
        requester_pays=endpoints.requester_pays,
        url_seconds=SERVER_SIDE_URL_SECONDS if is_server_side else URL_SECONDS,
        max_bandwidth=options.max_bandwidth,
        on_exchange=observers[0],
    )
    if is_server_side:
        check_reachable(bucket.source.endpoint(), container.blobs.url)
    return bucket, container


def request_check(endpoints: Endpoints, bucket: S3Bucket, container: AzureContainer) -> Callable[[CopyRequest], None]:
    """Return a function that checks the key and the blob of a request against this Airflow's guardrails.

    The function raises ConfigurationError if the object may not be copied.
    """
    guardrails, url = Guardrails.configured(), container.blobs.url

    def check(request: CopyRequest) -> None:
        guardrails.check_source(bucket.name, request.key, is_prefix=False)
        guardrails.check_destination(endpoints.wasb_conn_id, url, request.blob, is_prefix=False)

    return check


def check_object(endpoints: Endpoints, bucket: S3Bucket, container: AzureContainer, request: CopyRequest) -> None:
    """Check one object against this Airflow's guardrails before it is copied. A limit on bytes costs a HEAD request.

    :raises ConfigurationError: if it may not be copied
    :raises TransferError: if the HEAD request fails
    """
    request_check(endpoints, bucket, container)(request)
    guardrails = Guardrails.configured()
    if guardrails.max_bytes_per_run is not None:
        guardrails.check_run(1, bucket.source.head(request.key, request.version_id).size)
