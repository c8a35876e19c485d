"""From an Airflow ``wasb`` connection to the engine: a ``BlobContainer`` from ``WasbHook``.

The hook decides on the credentials. This module takes its client and keeps the connection's own configuration.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import quote, urlsplit

import requests
from airflow.providers.microsoft.azure.hooks.wasb import WasbHook
from airflow.sdk import BaseHook
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
from azure.core.pipeline.transport import HttpRequest

from airflow_s3_azure.connections.lookup import USER_AGENT, has_login, proxies_of, require_connection
from airflow_s3_azure.engine.azure.blob_names import why_invalid_container
from airflow_s3_azure.engine.azure.container import BlobContainer
from airflow_s3_azure.engine.azure.requests import ContainerAddress
from airflow_s3_azure.engine.azure.sdk_errors import describe_response, sdk_request, translate
from airflow_s3_azure.engine.azure.shared_key import SharedKeyPolicy
from airflow_s3_azure.engine.azure.transport import ConnectionsTransport
from airflow_s3_azure.engine.cancellation import Cancellation
from airflow_s3_azure.engine.errors import (
    ConfigurationError,
    DestinationWriteError,
)
from airflow_s3_azure.engine.http.client import Connections
from airflow_s3_azure.engine.http.failures import unresolved_host
from airflow_s3_azure.engine.http.observer import Observer
from airflow_s3_azure.engine.http.redaction import quote_error, redact_http_logs
from airflow_s3_azure.engine.http.status import TRANSIENT_STATUSES
from airflow_s3_azure.engine.quoting import get_logger
from airflow_s3_azure.engine.retry import RetryPolicy
from airflow_s3_azure.guardrails import Guardrails
from airflow_s3_azure.lineage import Place

if TYPE_CHECKING:
    from azure.storage.blob import BlobServiceClient, ContainerClient

log = get_logger(__name__)

_AWS_KEY_ID = re.compile("A(KIA|SIA)[A-Z0-9]{16}")
STORAGE_SCOPE = "https://storage.azure.com/.default"
CHECK_RETRY = RetryPolicy(attempts=4, max_wait=4.0)
"""For the check of the container: a typo in a host name must not take minutes to report."""
READ_SECONDS = 60.0
"""Read timeout: seconds without a byte of Azure's response."""


@dataclass(frozen=True, slots=True)
class AzureContainer:
    """One container, through one connection.

    :param client: the SDK's client, for manifests and ledgers
    :param blobs: the same container for the engine, for listing and writing
    """

    client: ContainerClient
    blobs: BlobContainer

    def place(self, path: str) -> Place:
        """Return a blob or a prefix as OpenLineage names it."""
        # The account's name is unknown if the host is a custom domain.
        account = self.client.account_name or str(urlsplit(self.client.url).hostname)
        return Place.of_azure(account, self.client.container_name, path)


def open_container(
    wasb_conn_id: str,
    container_name: str,
    cancellation: Cancellation,
    *,
    create_container: bool = False,
    read_timeout: float = READ_SECONDS,
    encryption_scope: str | None = None,
    on_exchange: Observer | None = None,
) -> AzureContainer:
    """Open a container through an Airflow connection, after a check that it exists.

    :param create_container: create it if it is missing
    :param read_timeout: seconds without a byte; the connection's own value takes precedence
    :param encryption_scope: that encrypts what is written; None: the container's default
    :param on_exchange: called after each request of the engine; None: nothing is
    :raises ConfigurationError: if the connection or the container is missing
    :raises DestinationWriteError: if Azure cannot be reached; a later try may succeed
    """
    redact_http_logs()
    require_connection("wasb_conn_id", wasb_conn_id, "wasb")
    if not container_name:
        raise ConfigurationError("container_name is empty; name the container to copy to")
    if invalid := why_invalid_container(container_name):
        raise ConfigurationError(f"container_name is {container_name!r}, but {invalid}")
    hook = WasbHook(wasb_conn_id=wasb_conn_id)
    service = _service(hook, wasb_conn_id)
    extra = dict(hook.get_connection(wasb_conn_id).extra_dejson)
    proxies = proxies_of(extra.get("proxies"), f"connection {wasb_conn_id!r}")
    client = service.get_container_client(container_name)
    Guardrails.configured().check_container(wasb_conn_id, client.url.partition("?")[0])
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
    session.headers["User-Agent"] = UserAgentPolicy(user_agent=USER_AGENT).user_agent
    session.proxies.update(proxies)
    session.verify, session.cert = config.verify, config.cert
    connections = Connections(
        session,
        cancellation,
        connect_timeout=config.timeout,
        read_timeout=config.read_timeout,
        on_exchange=on_exchange,
    )
    policies = authorisation_policies(credential, str(extra.get("audience", "")))
    pipeline: Pipeline[HttpRequest, Any] = Pipeline(ConnectionsTransport(connections), policies)
    return AzureContainer(client, BlobContainer(address, pipeline, cancellation, encryption_scope))


def account_url(wasb_conn_id: str) -> str:
    """Return the URL of the account that a connection leads to, without credentials and without a request.

    :raises ConfigurationError: if the connection is missing or invalid
    """
    require_connection("wasb_conn_id", wasb_conn_id, "wasb")
    return _service(WasbHook(wasb_conn_id=wasb_conn_id), wasb_conn_id).url.partition("?")[0].rstrip("/")


def _service(hook: WasbHook, wasb_conn_id: str) -> BlobServiceClient:
    """Return the client of a connection's account.

    :raises ConfigurationError: if the connection cannot make one
    """
    _check_is_azure(wasb_conn_id)
    problem = ""
    try:
        service = cast("BlobServiceClient", hook.blob_service_client)  # its other type is for async hooks
    except (ValueError, TypeError) as error:
        problem = quote_error(error)
    if problem:  # outside the handler: the context would be an exception that may quote a SAS
        raise ConfigurationError(
            f"could not create an Azure client from connection {wasb_conn_id!r}: {problem}; check its host, login and extra"
        )
    _check_no_login(service.url, wasb_conn_id)
    _check_account_key(service.credential, wasb_conn_id)
    return service


def authorisation_policies(credential: Any, audience: str) -> list[Any]:
    """Return the policies that authorise a request with the credential of ``WasbHook``'s client.

    A shared key is the SDK's own policy; a SAS in the account URL, and public access, need no policy.
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


def _check_no_login(url: str, wasb_conn_id: str) -> None:
    if has_login(url):
        raise ConfigurationError(
            f"the account's URL in connection {wasb_conn_id!r} holds a login (user:password@), which would be part of links "
            "and logs; remove it from the URL, and enter login and password in their own fields"
        )


def _check_is_azure(wasb_conn_id: str) -> None:
    found = BaseHook.get_connection(wasb_conn_id)
    extra = found.extra_dejson
    for url in (found.host, extra.get("sas_token"), extra.get("connection_string")):  # the SDK drops a part of some
        _check_no_login(str(url), wasb_conn_id)
    if _AWS_KEY_ID.fullmatch(found.login or ""):
        raise ConfigurationError(
            f"connection {wasb_conn_id!r} (wasb_conn_id) holds AWS keys; are aws_conn_id and wasb_conn_id swapped?"
        )


def _check_account_key(credential: Any, wasb_conn_id: str) -> None:
    """Check that requests can be signed with the key; the SDK would fail at the first request, with a bare error."""
    key = getattr(credential, "account_key", None)
    if key is None:
        return
    try:
        base64.b64decode(key, validate=True)
    except ValueError:  # binascii.Error is one
        raise ConfigurationError(
            f"the password of connection {wasb_conn_id!r} is not an account key (base64, 88 characters): it is truncated, "
            "or another secret. Copy the key again from the storage account's access keys"
        ) from None


def _check_container(client: ContainerClient, wasb_conn_id: str, create: bool) -> None:
    name = client.container_name
    try:
        # The SDK's own retries would take a minute to report an unreachable host.
        with sdk_request():
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
            log.debug("container %r cannot be read (403), which is normal for a SAS for blobs only", name)
            return
        raise _refused(error, wasb_conn_id, name) from None
    except AzureError as error:
        raise _refused(error, wasb_conn_id, name) from None


def _refused(error: AzureError, wasb_conn_id: str, name: str) -> ConfigurationError | DestinationWriteError:
    if (host := unresolved_host(error)) is not None:
        # DNS says that the name does not exist. Three attempts exclude a transient failure, so retries cannot help.
        return DestinationWriteError(
            f"Azure could not be reached: there is no host {host!r}; check host and login of connection {wasb_conn_id!r}",
            blob=name,
            transient=True,
            attempts=3,
            retryable=False,
        )
    failure = translate(error, f"connection {wasb_conn_id!r}, container {name!r}", name)
    # An error without a status is a failure to get a token.
    if failure.transient or getattr(error, "status_code", None) is None:
        return DestinationWriteError(failure.message, blob=name, transient=True, request_id=failure.request_id)
    return ConfigurationError(str(failure))


def _create_container(client: ContainerClient, wasb_conn_id: str) -> None:
    try:
        with sdk_request():
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
