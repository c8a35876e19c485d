"""From Airflow's connections to the engine: an ``S3Source`` from ``S3Hook``, a ``BlobContainer`` from ``WasbHook``.

Both hooks decide who we are; this module only takes their client, keeps the connection's own configuration, and adds
what streaming needs: SigV4 presigning on the bucket's region, and as many pooled connections as there are workers.
"""

from __future__ import annotations

import base64
import os
import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import quote, urlsplit

import requests
from airflow.providers.amazon.aws.hooks.s3 import S3Hook
from airflow.providers.microsoft.azure.hooks.wasb import WasbHook
from airflow.sdk import BaseHook
from airflow.sdk.exceptions import AirflowNotFoundException
from azure.core.configuration import ConnectionConfiguration
from azure.core.credentials import AzureSasCredential
from azure.core.exceptions import AzureError, HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.core.pipeline import Pipeline
from azure.core.pipeline.policies import (
    AzureSasCredentialPolicy,
    BearerTokenCredentialPolicy,
    SansIOHTTPPolicy,
    UserAgentPolicy,
)
from azure.core.rest import HttpRequest
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    HTTPClientError,
    MetadataRetrievalError,
)
from botocore.exceptions import (
    ConnectionError as BotoConnectionError,
)
from botocore.utils import parse_timestamp

import airflow_s3_azure
from airflow_s3_azure.endpoints import Endpoints
from airflow_s3_azure.engine.azure.container import BlobContainer, ContainerAddress
from airflow_s3_azure.engine.azure.names import why_invalid_container
from airflow_s3_azure.engine.azure.sdk_errors import describe_response, translate
from airflow_s3_azure.engine.azure.shared_key import SharedKeyPolicy
from airflow_s3_azure.engine.azure.transport import ConnectionsTransport
from airflow_s3_azure.engine.bandwidth import Bandwidth
from airflow_s3_azure.engine.cancellation import Cancellation
from airflow_s3_azure.engine.errors import (
    ConfigurationError,
    DestinationWriteError,
    SourceReadError,
)
from airflow_s3_azure.engine.http.client import Connections
from airflow_s3_azure.engine.http.redaction import redact_http_logs
from airflow_s3_azure.engine.http.status import TRANSIENT_STATUSES
from airflow_s3_azure.engine.options import CopyOptions
from airflow_s3_azure.engine.quoting import get_logger
from airflow_s3_azure.engine.retry import RetryPolicy
from airflow_s3_azure.engine.s3.failures import unsigned
from airflow_s3_azure.engine.s3.names import is_directory_bucket, is_multi_region_access_point
from airflow_s3_azure.engine.s3.presign import Presigner
from airflow_s3_azure.engine.s3.source import Operation, Params, S3Source
from airflow_s3_azure.engine.server_side.preflight import check_reachable
from airflow_s3_azure.engine.server_side.request import INSTEAD
from airflow_s3_azure.lineage import Place

if TYPE_CHECKING:
    from azure.storage.blob import BlobServiceClient, ContainerClient
    from botocore.client import BaseClient

log = get_logger(__name__)

_TRANSIENT_BOTO = (BotoConnectionError, HTTPClientError, CredentialRetrievalError, MetadataRetrievalError)
_USER_AGENT = f"airflow-s3-azure/{airflow_s3_azure.__version__}"
_AWS_KEY_ID = re.compile("A(KIA|SIA)[A-Z0-9]{16}")
STORAGE_SCOPE = "https://storage.azure.com/.default"
CHECK_RETRY = RetryPolicy(attempts=4, max_wait=4.0)
"""For the look at the container: a typing error in a host name should not take minutes to tell."""
URL_SECONDS = 3600
"""Life of a presigned URL. Each is used at once, for one request; a slow one may take long to read."""
SERVER_SIDE_URL_SECONDS = 300
"""Of one that Azure is given: it begins to read at once, but its clock, or this one, may be off."""
READ_SECONDS = 60.0
"""How long to wait for the next byte of Azure's response."""
SERVER_SIDE_SECONDS = 300.0
"""The same in a server-side copy, where Azure responds when it has read a block: 1 GiB at 3.5 MiB/s."""


@dataclass(frozen=True, slots=True)
class S3Bucket:
    """One bucket, through one connection.

    :param client: a boto3 S3 client, for listings
    :param source: the same bucket for the engine, for reading
    """

    client: BaseClient
    source: S3Source

    @property
    def name(self) -> str:
        """The bucket's name."""
        return self.source.bucket


@dataclass(frozen=True, slots=True)
class AzureContainer:
    """One container, through one connection.

    :param client: the SDK's client, for listings and for manifests and ledgers
    :param blobs: the same container for the engine, for writing
    """

    client: ContainerClient
    blobs: BlobContainer

    def place(self, path: str) -> Place:
        """Return a blob or a prefix as OpenLineage names it."""
        # With a domain of the user's own nobody says the account's name.
        account = self.client.account_name or str(urlsplit(self.client.url).hostname)
        return Place.of_azure(account, self.client.container_name, path)


def open_bucket(
    aws_conn_id: str | None,
    bucket: str,
    cancellation: Cancellation,
    *,
    max_concurrency: int,
    requester_pays: bool = False,
    url_seconds: int = URL_SECONDS,
    max_bandwidth: float | None = None,
) -> S3Bucket:
    """Return a bucket as an Airflow connection reaches it.

    :param aws_conn_id: None: boto3's default credentials
    :param max_concurrency: how many HTTP connections to keep open
    :param url_seconds: how long a presigned URL is good
    :param max_bandwidth: bytes per second to read of objects at most; None: no limit
    :raises ConfigurationError: if the connection is missing or says nothing usable
    """
    redact_http_logs()
    _require_connection("aws_conn_id", aws_conn_id)
    if not bucket:
        raise ConfigurationError("s3_bucket is empty; name the bucket to copy from")
    _check_is_aws(aws_conn_id)
    connection = "boto3's default credentials" if aws_conn_id is None else f"AWS connection {aws_conn_id!r}"
    hook = S3Hook(aws_conn_id=aws_conn_id)
    try:
        client = _signing_client(hook, bucket, max_concurrency)
    except (BotoCoreError, ClientError, ValueError) as error:
        if isinstance(error, _TRANSIENT_BOTO) or _is_throttled(error):
            message = f"{connection}: there is no S3 client now ({type(error).__name__})"
            raise SourceReadError(message, key=f"s3://{bucket}") from None
        raise ConfigurationError(f"connection {aws_conn_id!r} gives no S3 client: {error}") from None
    config = client.meta.config

    signer = Presigner(client, bucket, url_seconds)

    def presign(operation: Operation, params: Params) -> str:
        try:
            return signer(operation, params)
        except (BotoCoreError, ClientError) as error:
            failure = unsigned(error, bucket=bucket, connection=connection)
        raise failure  # outside the handler: a credential process may have written anything into its error

    session = requests.Session()
    session.headers["User-Agent"] = _USER_AGENT
    session.verify = hook.verify if hook.verify is not None else os.environ.get("AWS_CA_BUNDLE") or True
    session.proxies.update(config.proxies or {})
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
    )
    return S3Bucket(client, source)


def _signing_client(hook: S3Hook, bucket: str, max_concurrency: int) -> BaseClient:
    """Return a client that presigns with SigV4 for the host and the region of the bucket.

    boto3 presigns with SigV2 on the global host by default, and for the region it was given: unlike its own requests,
    a presigned URL does not follow the bucket to another one. Multi-Region Access Points need SigV4A and directory
    buckets sessions of their own: botocore signs them right only if no signature version is set.
    """
    base = hook.config or Config()
    base = base.merge(Config(user_agent_extra=f"{base.user_agent_extra or ''} {_USER_AGENT}".strip()))
    pools = {"max_pool_connections": max(max_concurrency, base.max_pool_connections or 0)}
    once = base.merge(Config(retries={"total_max_attempts": 1}, connect_timeout=10, read_timeout=10))
    # One session: botocore reads its description of S3, the dearest part of a client, once for each.
    session = hook.get_session(region_name=hook.region_name)
    _read_times_quickly(session)
    endpoint = hook.conn_config.get_service_endpoint_url("s3")

    def client(region: str | None, config: Config) -> BaseClient:
        return cast(
            "BaseClient",
            session.client("s3", region_name=region, endpoint_url=endpoint, config=config, verify=hook.verify),
        )

    pooled = base.merge(Config(**pools))
    if is_directory_bucket(bucket) or is_multi_region_access_point(bucket):
        return client(hook.region_name, pooled)
    plain = client(hook.region_name, once)
    config = pooled.merge(Config(signature_version=base.signature_version or "s3v4"))
    if not str(urlsplit(plain.meta.endpoint_url).hostname).endswith((".amazonaws.com", ".amazonaws.com.cn")):
        return client(hook.region_name, config)  # has no host name per bucket
    config = config.merge(Config(s3={"addressing_style": "virtual", **(base.s3 or {})}))
    region = hook.region_name if bucket.startswith("arn:") else _region_of(plain, bucket) or hook.region_name
    return client(region, config)


def _read_times_quickly(session: Any) -> None:
    """Give the clients of a boto3 session a quicker parser for the times in a listing, as botocore lets its users.

    Its own tries every form of a time there is, and takes more than half of what a listing costs.
    """
    # boto3 has no public way to the botocore session that it wraps; without it, only time is lost.
    if (inner := getattr(session, "_session", None)) is not None:
        inner.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=_time_of)


def _time_of(value: Any) -> datetime:
    if isinstance(value, str) and value[10:11] == "T" and value.endswith("Z"):
        with suppress(ValueError):
            return datetime.fromisoformat(value)
    return cast("datetime", parse_timestamp(value))


def _region_of(client: BaseClient, bucket: str) -> str | None:
    """Return the region that S3 says a bucket is in, which it also says to those who may not look at it."""
    try:
        answer = client.head_bucket(Bucket=bucket)
    except ClientError as error:
        answer = error.response
    except BotoCoreError as error:
        log.debug("the region of bucket %r could not be asked for: %s", bucket, type(error).__name__)
        return None
    headers = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    return cast("str | None", headers.get("x-amz-bucket-region"))


def _is_throttled(error: Exception) -> bool:
    if not isinstance(error, ClientError):
        return False
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    return status in TRANSIENT_STATUSES or "Throttl" in error.response.get("Error", {}).get("Code", "")


def open_container(
    wasb_conn_id: str,
    container_name: str,
    cancellation: Cancellation,
    *,
    create_container: bool = False,
    read_timeout: float = READ_SECONDS,
) -> AzureContainer:
    """Return a container as an Airflow connection reaches it, after a check that it exists.

    :param create_container: create it if it is missing
    :param read_timeout: seconds without a byte, unless the connection says otherwise
    :raises ConfigurationError: if the connection or the container is missing
    :raises DestinationWriteError: if Azure cannot be reached; a later try may succeed
    """
    redact_http_logs()
    _require_connection("wasb_conn_id", wasb_conn_id)
    if not container_name:
        raise ConfigurationError("container_name is empty; name the container to copy to")
    if invalid := why_invalid_container(container_name):
        raise ConfigurationError(f"container_name is {container_name!r}, but {invalid}")
    _check_is_azure(wasb_conn_id)
    hook = WasbHook(wasb_conn_id=wasb_conn_id)
    extra = dict(hook.get_connection(wasb_conn_id).extra_dejson)
    try:
        service = cast("BlobServiceClient", hook.blob_service_client)  # its other type is for async hooks
    except ValueError as error:
        raise ConfigurationError(f"connection {wasb_conn_id!r} gives no Azure client: {error}") from None
    _check_account_key(service.credential, wasb_conn_id)
    client = service.get_container_client(container_name)
    CHECK_RETRY.call(lambda: _check_container(client, wasb_conn_id, create_container), cancellation)
    credential = service.credential
    parts = urlsplit(service.url)
    address = ContainerAddress(
        url=f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}/{quote(container_name)}",
        query=parts.query,
    )
    settings = {
        name: value for name, value in extra.items() if name.startswith("connection_") or name == "read_timeout"
    }
    config = ConnectionConfiguration(**{"connection_timeout": 20, "read_timeout": read_timeout, **settings})
    session = requests.Session()
    session.headers["User-Agent"] = UserAgentPolicy(user_agent=_USER_AGENT).user_agent
    session.proxies.update(extra.get("proxies") or {})
    session.verify, session.cert = config.verify, config.cert
    connections = Connections(session, cancellation, connect_timeout=config.timeout, read_timeout=config.read_timeout)
    policies = authorisation_policies(credential, str(extra.get("audience", "")))
    pipeline: Pipeline[HttpRequest, Any] = Pipeline(ConnectionsTransport(connections), policies)
    return AzureContainer(client, BlobContainer(address, pipeline, cancellation))


def open_endpoints(
    endpoints: Endpoints, options: CopyOptions, cancellation: Cancellation
) -> tuple[S3Bucket, AzureContainer]:
    """Return source and destination of a copy; of a server-side copy after a check whether Azure can reach S3.

    :raises ConfigurationError: if it cannot, or as :func:`open_bucket` and :func:`open_container` do
    :raises DestinationWriteError: as :func:`open_container` does
    """
    is_server_side = options.mode == "server_side"
    if is_server_side and endpoints.requester_pays:
        raise ConfigurationError(
            "mode='server_side' cannot read requester-pays buckets: Azure does not send the header in which the reader "
            f"agrees to pay; {INSTEAD}"
        )
    container = open_container(
        endpoints.wasb_conn_id,
        endpoints.container_name,
        cancellation,
        create_container=endpoints.create_container,
        read_timeout=SERVER_SIDE_SECONDS if is_server_side else READ_SECONDS,
    )
    bucket = open_bucket(
        endpoints.aws_conn_id,
        endpoints.s3_bucket,
        cancellation,
        max_concurrency=options.max_concurrency,
        requester_pays=endpoints.requester_pays,
        url_seconds=SERVER_SIDE_URL_SECONDS if is_server_side else URL_SECONDS,
        max_bandwidth=options.max_bandwidth,
    )
    if is_server_side:
        check_reachable(bucket.source.endpoint(), container.blobs.url)
    return bucket, container


def authorisation_policies(credential: Any, audience: str) -> list[Any]:
    """Return the policies that authorise a request with what ``WasbHook`` put into its client.

    Shared keys come as the SDK's own policy; a SAS within the account URL, and public access, need none.
    """
    if credential is None:
        return []
    if isinstance(credential, SansIOHTTPPolicy):
        is_shared_key = hasattr(credential, "account_name") and hasattr(credential, "account_key")
        return [SharedKeyPolicy(credential) if is_shared_key else credential]
    if isinstance(credential, AzureSasCredential):
        return [AzureSasCredentialPolicy(credential)]
    if hasattr(credential, "get_token"):
        scope = f"{audience.rstrip('/')}/.default" if audience else STORAGE_SCOPE
        return [BearerTokenCredentialPolicy(credential, scope)]
    raise ConfigurationError(f"a credential of type {type(credential).__name__} cannot authorise block uploads")


def _require_connection(argument: str, conn_id: str | None) -> None:
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


def _check_is_aws(aws_conn_id: str | None) -> None:
    if aws_conn_id is not None and BaseHook.get_connection(aws_conn_id).conn_type == "wasb":
        raise ConfigurationError(
            f"connection {aws_conn_id!r} (aws_conn_id) is one to Azure; are aws_conn_id and wasb_conn_id swapped?"
        )


def _check_is_azure(wasb_conn_id: str) -> None:
    connection = BaseHook.get_connection(wasb_conn_id)
    if connection.conn_type == "aws" or _AWS_KEY_ID.fullmatch(connection.login or ""):
        raise ConfigurationError(
            f"connection {wasb_conn_id!r} (wasb_conn_id) holds AWS keys; are aws_conn_id and wasb_conn_id swapped?"
        )


def _check_account_key(credential: Any, wasb_conn_id: str) -> None:
    """Check that requests can be signed with the key; the SDK finds out at the first one, with a bare error."""
    key = getattr(credential, "account_key", None)
    if key is None:
        return
    try:
        base64.b64decode(key, validate=True)
    except ValueError:  # binascii.Error is one
        raise ConfigurationError(
            f"connection {wasb_conn_id!r}: its password is not an account key (base64, 88 characters); it is truncated, "
            "or another secret. Copy the key again from the storage account's access keys"
        ) from None


def _check_container(client: ContainerClient, wasb_conn_id: str, create: bool) -> None:
    name = client.container_name
    try:
        # The SDK's own retries would take a minute to say that nobody is there.
        client.get_container_properties(retry_total=0)
    except ResourceNotFoundError:
        if not create:
            raise ConfigurationError(
                f"there is no container {name!r} in {client.account_name!r} ({wasb_conn_id}); create it, or set "
                "create_container=True"
            ) from None
        _create_container(client, wasb_conn_id)
    except HttpResponseError as error:
        if error.status_code == 403:
            log.debug("container %r may not be read (403); a SAS for blobs only need not allow it", name)
            return
        raise _refused(error, wasb_conn_id, name) from None
    except AzureError as error:
        raise _refused(error, wasb_conn_id, name) from None


def _refused(error: AzureError, wasb_conn_id: str, name: str) -> ConfigurationError | DestinationWriteError:
    failure = translate(error, f"connection {wasb_conn_id!r}, container {name!r}", name)
    # Without a status, a token could not be had just now.
    if failure.transient or getattr(error, "status_code", None) is None:
        return DestinationWriteError(failure.message, blob=name, transient=True, request_id=failure.request_id)
    return ConfigurationError(str(failure))


def _create_container(client: ContainerClient, wasb_conn_id: str) -> None:
    try:
        client.create_container()
    except ResourceExistsError:
        return  # a concurrent task was faster
    except AzureError as error:
        if isinstance(error, HttpResponseError) and error.status_code in TRANSIENT_STATUSES:
            raise _refused(error, wasb_conn_id, client.container_name) from None
        raise ConfigurationError(
            f"container {client.container_name!r} could not be created: {describe_response(error)}; creating one needs "
            "the role Storage Blob Data Contributor on the account, or create it in advance"
        ) from None
    log.info("created container %r", client.container_name)
