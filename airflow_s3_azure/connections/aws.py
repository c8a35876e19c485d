"""From an Airflow ``aws`` connection to the engine: an ``S3Source`` from ``S3Hook``.

The hook decides on the credentials. This module takes its client, keeps the connection's own configuration, and adds
what streaming needs: presigning for the bucket's kind and region, and as many pooled connections as there are workers.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit

import requests
from airflow.providers.amazon.aws.hooks.s3 import S3Hook
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from airflow_s3_azure.connections.aws_failures import BROKEN, MISSING_FILE, check_token_file, no_client
from airflow_s3_azure.connections.lookup import USER_AGENT, has_login, proxies_of, require_connection
from airflow_s3_azure.connections.s3_data import share_descriptions
from airflow_s3_azure.engine.bandwidth import Bandwidth
from airflow_s3_azure.engine.cancellation import Cancellation
from airflow_s3_azure.engine.errors import ConfigurationError, SourceAccessDenied, TransferError
from airflow_s3_azure.engine.http.observer import Observer
from airflow_s3_azure.engine.http.redaction import redact_http_logs
from airflow_s3_azure.engine.quoting import get_logger
from airflow_s3_azure.engine.s3.bucket_names import is_directory_bucket, is_multi_region_access_point
from airflow_s3_azure.engine.s3.params import Operation, Params
from airflow_s3_azure.engine.s3.presign import Presigner
from airflow_s3_azure.engine.s3.refusals import unsigned
from airflow_s3_azure.engine.s3.source import S3Source
from airflow_s3_azure.guardrails import Guardrails

if TYPE_CHECKING:
    from botocore.client import BaseClient

log = get_logger(__name__)

URL_SECONDS = 3600
"""Validity of a presigned URL. Each is used immediately, for one request, whose body may be read slowly."""


@dataclass(frozen=True, slots=True)
class S3Bucket:
    """One bucket, through one connection.

    :param client: a boto3 S3 client; it signs the engine's requests
    :param source: the bucket for the engine, for listing and reading
    """

    client: BaseClient
    source: S3Source

    @property
    def name(self) -> str:
        """The bucket's name."""
        return self.source.bucket


def open_bucket(
    aws_conn_id: str | None,
    bucket: str,
    cancellation: Cancellation,
    *,
    max_concurrency: int,
    requester_pays: bool = False,
    url_seconds: int = URL_SECONDS,
    max_bandwidth: float | None = None,
    on_exchange: Observer | None = None,
) -> S3Bucket:
    """Open a bucket through an Airflow connection.

    :param aws_conn_id: None: boto3's default credentials
    :param max_concurrency: size of the HTTP connection pool
    :param url_seconds: validity of a presigned URL
    :param max_bandwidth: bytes per second to read of objects at most; None: no limit
    :param on_exchange: called after each request of the engine; None: nothing is
    :raises ConfigurationError: if the connection is missing or invalid
    """
    redact_http_logs()
    require_connection("aws_conn_id", aws_conn_id, "aws")
    if not bucket:
        raise ConfigurationError("s3_bucket is empty; name the bucket to copy from")
    Guardrails.configured().check_bucket(bucket)
    connection = _name(aws_conn_id)
    hook = S3Hook(aws_conn_id=aws_conn_id)
    client = _client_of(hook, bucket, max_concurrency, connection)
    config = client.meta.config

    signer = Presigner(client, bucket, url_seconds)

    def presign(operation: Operation, params: Params) -> str:
        failure: TransferError
        try:
            return signer(operation, params)
        except (BotoCoreError, ClientError) as error:
            failure = unsigned(error, bucket=bucket, connection=connection)
        except MISSING_FILE as error:
            problem = f"{error.filename!r}: {error.strerror}"
            failure = SourceAccessDenied(f"{connection} has no credentials to sign with: {problem}")
        raise failure  # outside the handler: the error of a credential process may contain secrets

    session = requests.Session()
    session.headers["User-Agent"] = USER_AGENT
    session.verify = hook.verify if hook.verify is not None else os.environ.get("AWS_CA_BUNDLE") or True
    session.proxies.update(proxies_of(config.proxies, connection))
    source = S3Source(
        bucket,
        presign,
        session,
        cancellation,
        connect_timeout=config.connect_timeout,
        read_timeout=config.read_timeout,
        requester_pays=requester_pays,
        bandwidth=None if max_bandwidth is None else Bandwidth(max_bandwidth, cancellation),
        connection=connection,
        on_exchange=on_exchange,
    )
    return S3Bucket(client, source)


def _client_of(hook: S3Hook, bucket: str, max_concurrency: int, connection: str) -> BaseClient:
    """Return the client of a hook's connection.

    :raises ConfigurationError: if the connection cannot make one
    :raises SourceReadError: if AWS does not respond
    """
    try:
        check_token_file(hook.conn_config, connection)
        return _signing_client(hook, bucket, max_concurrency)
    except BROKEN as error:
        failure = no_client(error, connection, bucket)
    raise failure  # outside the handler: the context would be an exception that may quote a URL


def _name(aws_conn_id: str | None) -> str:
    return "boto3's default credentials" if aws_conn_id is None else f"AWS connection {aws_conn_id!r}"


def _signing_client(hook: S3Hook, bucket: str, max_concurrency: int) -> BaseClient:
    """Return a client that presigns with SigV4 for the host and the region of the bucket.

    By default boto3 presigns with SigV2 on the global host, for the configured region. Unlike boto3's own requests, a
    presigned URL is not redirected to the bucket's region. Multi-Region Access Points need SigV4A, and directory buckets
    need sessions; botocore signs both correctly only if no signature version is set.
    """
    base = hook.config or Config()
    base = base.merge(Config(user_agent_extra=f"{base.user_agent_extra or ''} {USER_AGENT}".strip()))
    pools = {"max_pool_connections": max(max_concurrency, base.max_pool_connections or 0)}
    once = base.merge(Config(retries={"total_max_attempts": 1}, connect_timeout=10, read_timeout=10))
    session = hook.get_session(region_name=hook.region_name)
    share_descriptions(session._session)  # noqa: SLF001 - boto3 has no public name for botocore's session
    endpoint = hook.conn_config.get_service_endpoint_url("s3")

    def client(region: str | None, config: Config) -> BaseClient:
        made = cast(
            "BaseClient",
            session.client("s3", region_name=region, endpoint_url=endpoint, config=config, verify=hook.verify),
        )
        if has_login(made.meta.endpoint_url):  # also one of the environment or of a profile
            raise ConfigurationError(
                "the endpoint_url of S3 holds a login (user:password@), which would be part of logs and errors; remove it "
                f"from the URL, and enter login and password in their own fields ({_name(hook.aws_conn_id)})"
            )
        return made

    pooled = base.merge(Config(**pools))
    if is_directory_bucket(bucket) or is_multi_region_access_point(bucket):
        return client(hook.region_name, pooled)
    plain = client(hook.region_name, once)
    config = pooled.merge(Config(signature_version=base.signature_version or "s3v4"))
    if not str(urlsplit(plain.meta.endpoint_url).hostname).endswith((".amazonaws.com", ".amazonaws.com.cn")):
        return client(hook.region_name, config)  # custom endpoints have no host name per bucket
    config = config.merge(Config(s3={"addressing_style": "virtual", **(base.s3 or {})}))
    region = hook.region_name if bucket.startswith("arn:") else _region_of(plain, bucket) or hook.region_name
    return client(region, config)


def _region_of(client: BaseClient, bucket: str) -> str | None:
    """Return the region of a bucket, which S3 reports even where access is denied."""
    try:
        response = client.head_bucket(Bucket=bucket)
    except ClientError as error:
        response = error.response
    except BotoCoreError as error:
        log.debug("the region of bucket %r is unknown: %s", bucket, type(error).__name__)
        return None
    headers = response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    return cast("str | None", headers.get("x-amz-bucket-region"))
