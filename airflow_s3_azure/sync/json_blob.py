"""Reads and writes small JSON documents in the untrusted container."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from azure.core.exceptions import AzureError
from azure.storage.blob import ContentSettings

from airflow_s3_azure.engine.azure.sdk_errors import describe_response, sdk_request
from airflow_s3_azure.engine.blocks import MIB
from airflow_s3_azure.engine.errors import DestinationWriteError, UntrustedFile
from airflow_s3_azure.sync.lines_reader import read_pieces
from airflow_s3_azure.sync.rows import JsonObject

if TYPE_CHECKING:
    from azure.storage.blob import ContainerClient

MAX_DOCUMENT = 64 * MIB
"""Bytes in a document: a summary names each file of its run in some 200 bytes."""


def write_json_blob(client: ContainerClient, name: str, document: JsonObject) -> str:
    """Write a document, or replace it; return its URL, without any credential.

    :raises DestinationWriteError: if it cannot be written
    """
    try:
        with sdk_request():
            client.upload_blob(
                name,
                json.dumps(document, indent=2, ensure_ascii=False).encode(),
                overwrite=True,
                content_settings=ContentSettings(content_type="application/json"),
            )
    except AzureError as error:
        what = name.rpartition("/")[2]
        raise DestinationWriteError(f"{what} could not be written: {describe_response(error)}", blob=name) from None
    return f"{client.url.partition('?')[0]}/{name}"


def read_json_blob(client: ContainerClient, name: str) -> dict[str, Any]:
    """Return a document. Anyone who may write to the container may have written it.

    :raises UntrustedFile: if it is no JSON object, or longer than any that is written
    :raises DestinationWriteError: if it cannot be read
    """
    data = bytearray()
    for piece in read_pieces(client, name, 0, None):
        data += piece
        if len(data) > MAX_DOCUMENT:
            raise UntrustedFile(f"it has more than {MAX_DOCUMENT:,} bytes", blob=name)
    try:
        found = json.loads(data)
    except (RecursionError, ValueError) as error:
        raise UntrustedFile(f"it is no JSON document ({type(error).__name__})", blob=name) from None
    if type(found) is not dict:
        raise UntrustedFile(f"it is a {type(found).__name__}, not an object", blob=name)
    return found
