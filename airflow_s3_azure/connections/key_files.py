"""Opens the file of a list of keys: an object of any bucket, or a blob of the destination account."""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

from airflow_s3_azure.connections.aws import S3Bucket, open_bucket
from airflow_s3_azure.connections.wasb import AzureContainer, open_container
from airflow_s3_azure.endpoints import Endpoints
from airflow_s3_azure.engine.azure.blob_names import why_invalid
from airflow_s3_azure.engine.cancellation import Cancellation
from airflow_s3_azure.engine.errors import ConfigurationError
from airflow_s3_azure.engine.s3.source import S3Source
from airflow_s3_azure.guardrails import Guardrails
from airflow_s3_azure.sync.keys.stored_files import BlobFile, S3File, StoredFile

_CONNECTIONS = 4
"""Of a bucket from which only files of keys are read."""


def open_key_file(
    url: str, endpoints: Endpoints, bucket: S3Bucket, container: AzureContainer, cancellation: Cancellation
) -> StoredFile:
    """Return the file of a URL, to be read through the connections of the copy.

    What may be read is what may be copied: the guardrails apply to an object as to a source, and to a blob as to a
    destination, because errors and ledgers quote keys.

    :raises ConfigurationError: if the URL is not one of an object or of a blob of the destination account
    """
    scheme, _, rest = url.partition("://")
    if scheme.lower() in ("http", "https"):
        return _blob(url, endpoints, container, cancellation)
    name, _, key = rest.partition("/")
    if not name or not key:
        raise ConfigurationError(f"keys is {url!r}; it takes the URL of one object, such as s3://bucket/lists/keys.csv")
    Guardrails.configured().check_source(name, key, is_prefix=False)
    return S3File(_source(name, endpoints, bucket, cancellation), key, cancellation=cancellation)


def file_beside(file: S3File, key: str) -> S3File:
    """Return another file of the same bucket, such as one of an inventory.

    :raises ConfigurationError: if the guardrails forbid to read it
    """
    Guardrails.configured().check_source(file.bucket, key, is_prefix=False)
    return file.beside(key)


def _source(name: str, endpoints: Endpoints, bucket: S3Bucket, cancellation: Cancellation) -> S3Source:
    if name == bucket.name:
        return bucket.source
    return open_bucket(
        endpoints.aws_conn_id,
        name,
        cancellation,
        max_concurrency=_CONNECTIONS,
        requester_pays=endpoints.requester_pays,
    ).source


def _blob(url: str, endpoints: Endpoints, container: AzureContainer, cancellation: Cancellation) -> BlobFile:
    parts = urlsplit(url)
    shown = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
    if parts.query or parts.fragment or "@" in parts.netloc:
        raise ConfigurationError(
            f"keys is the URL {shown!r} with a query or a login, which may be a credential; give the URL without it: the blob "
            f"is read through connection {endpoints.wasb_conn_id!r}"
        )
    account = container.blobs.url.rpartition("/")[0] + "/"
    name, _, path = url.removeprefix(account).partition("/")
    blob = unquote(path)
    if not url.startswith(account) or not name or not path:
        raise ConfigurationError(
            f"keys is {shown!r}; it takes s3://bucket/key, or the URL of a blob of the destination account: "
            f"{account}container/blob"
        )
    if invalid := why_invalid(blob):
        raise ConfigurationError(f"keys is {shown!r}, but {invalid}")
    if name != container.client.container_name:
        container = open_container(endpoints.wasb_conn_id, name, cancellation)
    conn_id = endpoints.wasb_conn_id
    Guardrails.configured().check_destination(conn_id, container.blobs.url, blob, is_prefix=False)
    return BlobFile(container.client, blob, shown)
