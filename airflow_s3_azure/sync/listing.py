"""Lists source and destination as streams: the objects under an S3 prefix, the blobs under a name prefix.

Both listings are untrusted. A malformed page or an incomplete entry fails the plan: if it were left out, its key would be
in no ledger.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from azure.core.exceptions import AzureError
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as BotoConnectionError

from airflow_s3_azure.engine.azure.sdk_errors import sdk_request, translate
from airflow_s3_azure.engine.errors import (
    SourceReadError,
)
from airflow_s3_azure.engine.http.failures import describe
from airflow_s3_azure.engine.model import BlobState
from airflow_s3_azure.engine.properties import SourceRecord
from airflow_s3_azure.engine.quoting import quote_text
from airflow_s3_azure.engine.s3.headers import read_etag
from airflow_s3_azure.engine.s3.refusals import THE_CONNECTION, Refusal, unreachable
from airflow_s3_azure.engine.s3.refusals import translate as translate_refusal
from airflow_s3_azure.sync.listed_object import ListedObject

if TYPE_CHECKING:
    from azure.storage.blob import ContainerClient
    from botocore.client import BaseClient

_MALFORMED = (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)
"""What botocore's parsers raise for XML that is not a listing."""


def list_objects(
    client: BaseClient,
    bucket: str,
    prefix: str = "",
    *,
    requester_pays: bool = False,
    connection: str = THE_CONNECTION,
) -> Iterator[ListedObject]:
    """Yield the objects under a prefix, page by page, 1,000 in memory at a time.

    :param connection: the name of the client's connection in errors
    :raises TransferError: if the bucket cannot be listed
    """
    payer = {"RequestPayer": "requester"} if requester_pays else {}
    pages = iter(client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix, **payer))
    where = f"s3://{bucket}/{prefix}"
    while True:
        try:
            page = next(pages, None)
            if page is None:
                return
            listed = [_listed_object(item) for item in page.get("Contents") or ()]
        except ClientError as error:
            raise translate_refusal(
                Refusal.of_client_error(error), bucket=bucket, key=where, connection=connection
            ) from None
        except (BotoConnectionError, HTTPClientError) as error:
            url = client.meta.endpoint_url
            raise unreachable(error, url, key=where, connection=connection, is_known=False) from None
        except BotoCoreError as error:
            raise SourceReadError(f"the bucket could not be listed: {describe(error)}", key=where) from None
        except _MALFORMED as error:
            message = f"S3 sent a listing that cannot be read ({type(error).__name__}: {quote_text(str(error))})"
            raise SourceReadError(message, key=where) from None
        yield from listed


def _listed_object(item: Mapping[str, Any]) -> ListedObject:
    """Return an entry of a listing.

    :raises ValueError: if it is malformed
    :raises LookupError: if a field is missing
    """
    key, size, etag, last_modified = item["Key"], item["Size"], read_etag(item["ETag"]), item["LastModified"]
    if not key or size < 0 or etag is None or last_modified.tzinfo is None:
        raise ValueError(f"key {key!r}, size {size}, ETag {item['ETag']!r}, time {last_modified}")
    return ListedObject(
        key=key,
        size=size,
        etag=etag,
        last_modified=last_modified,
        storage_class=item.get("StorageClass", "STANDARD"),
    )


def list_blobs(client: ContainerClient, prefix: str = "") -> Iterator[tuple[str, BlobState]]:
    """Yield the name and state of each committed blob under a prefix, with the record of its source.

    The directories of an account with a hierarchical namespace, which it lists as blobs, are left out.

    :raises TransferError: if the container cannot be listed
    """
    where = f"{client.url.partition('?')[0]}/{prefix}"
    blobs = iter(client.list_blobs(name_starts_with=prefix or None, include=["metadata"]))
    while True:
        try:
            with sdk_request():
                blob = next(blobs, None)
        except AzureError as error:
            raise translate(error, "the container could not be listed", where) from None
        if blob is None:
            return
        metadata = blob.metadata or {}
        if any(name.lower() == "hdi_isfolder" and value == "true" for name, value in metadata.items()):
            continue
        yield (
            blob.name,
            BlobState(
                etag=f'"{blob.etag}"' if not blob.etag.startswith('"') else blob.etag,
                size=blob.size,
                last_modified=blob.last_modified,
                record=SourceRecord.from_metadata(metadata),
            ),
        )
