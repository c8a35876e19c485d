"""Both sides as streams: the objects under an S3 prefix, the blobs under a name prefix."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from azure.core.exceptions import AzureError
from botocore.exceptions import BotoCoreError, ClientError

from airflow_s3_azure.engine.azure.sdk_errors import translate
from airflow_s3_azure.engine.errors import (
    SourceAccessDenied,
    SourceNotFound,
    SourceReadError,
    TransferError,
)
from airflow_s3_azure.engine.http.failures import describe
from airflow_s3_azure.engine.model import BlobState
from airflow_s3_azure.engine.properties import SourceRecord
from airflow_s3_azure.sync.objects import ListedObject

if TYPE_CHECKING:
    from azure.storage.blob import ContainerClient
    from botocore.client import BaseClient


def list_objects(
    client: BaseClient, bucket: str, prefix: str = "", *, requester_pays: bool = False
) -> Iterator[ListedObject]:
    """Yield the objects under a prefix, page by page; 1,000 are held at a time.

    :raises TransferError: if the bucket cannot be listed
    """
    payer = {"RequestPayer": "requester"} if requester_pays else {}
    pages = iter(client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix, **payer))
    where = f"s3://{bucket}/{prefix}"
    while True:
        try:
            page = next(pages, None)
        except ClientError as error:
            raise _refused_listing(error, bucket, where) from None
        except BotoCoreError as error:
            raise SourceReadError(f"the bucket could not be listed: {describe(error)}", key=where) from None
        if page is None:
            return
        for item in page.get("Contents", ()):
            yield ListedObject(
                key=item["Key"],
                size=item["Size"],
                etag=item["ETag"].strip('"'),
                last_modified=item["LastModified"],
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


def _refused_listing(error: ClientError, bucket: str, where: str) -> TransferError:
    code = error.response.get("Error", {}).get("Code", "")
    if code == "NoSuchBucket":
        return SourceNotFound(
            f"there is no bucket {bucket!r}; check the name and the connection's region and endpoint", key=where
        )
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    message = f"the bucket could not be listed: S3 answered {status} {code}"
    if status in (401, 403):
        return SourceAccessDenied(f"{message}; the AWS connection needs s3:ListBucket on it", key=where)
    return SourceReadError(message, key=where)
