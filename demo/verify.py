"""Verification: reads every object and its blob again with the vendors' own SDKs, and compares them.

Independent of the package's code. It relies on two documented rules only: a blob is named like its key, and a metadata name
that Azure refuses is recorded in `s3_source_metadata_names`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

from azure.storage.blob import ContainerClient

LEDGER_ROOT = "_s3_to_azure/"
_PIECE = 1024 * 1024
_HEADERS = ("content_type", "content_encoding", "content_language", "content_disposition", "cache_control")
_OWN_METADATA = "s3_source_"
_RENAMED = "s3_source_metadata_names"


@dataclass(frozen=True, slots=True)
class Proof:
    """The result of a comparison.

    :param size: bytes, counted once
    :param differences: one line for each difference; empty if there is none
    """

    blobs: int
    size: int
    differences: list[str]


def blob_etags(container: ContainerClient) -> dict[str, str]:
    """Return the ETags of a container's blobs by their names, without the manifests and ledgers."""
    return {blob.name: blob.etag for blob in container.list_blobs() if not blob.name.startswith(LEDGER_ROOT)}


def compare(
    client: Any,
    bucket: str,
    container: ContainerClient,
    skipped: Collection[str],
    *,
    pool: Executor,
    on_bytes: Callable[[int], None],
) -> Proof:
    """Compare every key of a bucket with its blob: bytes by SHA-256, content headers, user metadata.

    :param skipped: keys that must have no blob
    :param on_bytes: called with the bytes of each object that was read from both clouds
    """
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket)
    keys = {item["Key"] for page in pages for item in page.get("Contents", ())} - set(skipped)
    names = set(blob_etags(container))
    differences = [f"{key!r} of {bucket} has no blob" for key in sorted(keys - names)]
    differences += [f"blob {name!r} in {container.container_name} has no object" for name in sorted(names - keys)]
    both = sorted(keys & names)
    size = 0
    for found, bytes_read in pool.map(lambda key: _compare_one(client, bucket, container, key), both):
        differences += found
        size += bytes_read
        on_bytes(bytes_read)
    return Proof(len(both), size, differences)


def _compare_one(client: Any, bucket: str, container: ContainerClient, key: str) -> tuple[list[str], int]:
    response = client.get_object(Bucket=bucket, Key=key)
    wanted, size = _digest(response["Body"].iter_chunks(_PIECE))
    # Not decompressed: the stored bytes are compared.
    download = container.get_blob_client(key).download_blob(decompress=False)
    found, _ = _digest(download.chunks())
    blob = download.properties
    differences = []
    if wanted != found:
        differences.append(f"{key!r}: the object's SHA-256 is {wanted}, the blob's {found}")
    for header in _HEADERS:
        of_object = response.get("".join(part.capitalize() for part in header.split("_")))
        of_blob = blob.content_settings[header]
        # boto3 signs its uploads with this encoding; it is the transfer's, not the object's.
        if (of_object or None) != (of_blob or None) and of_object != "aws-chunked":
            differences.append(f"{key!r}: {header} is {of_object!r} in S3 and {of_blob!r} in Azure")
    if response["Metadata"] != (kept := _user_metadata(blob.metadata)):
        differences.append(f"{key!r}: the metadata is {response['Metadata']} in S3 and {kept} in Azure")
    return differences, size


def _digest(content: Iterable[bytes]) -> tuple[str, int]:
    digest, size = hashlib.sha256(), 0
    for piece in content:
        digest.update(piece)
        size += len(piece)
    return digest.hexdigest(), size


def _user_metadata(metadata: Mapping[str, str]) -> dict[str, str]:
    names = json.loads(metadata.get(_RENAMED, "{}"))
    return {names.get(name, name): value for name, value in metadata.items() if not name.startswith(_OWN_METADATA)}
