"""Reads the files of plans and ledgers with Azure's own SDK and Python's own gzip, as a user does."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from azure.storage.blob import ContainerClient


def file_content(container: ContainerClient, name: str) -> bytes:
    """Return the lines of a file."""
    content = bytes(container.download_blob(name).readall())
    return gzip.decompress(content) if name.endswith(".gz") else content


def file_rows(container: ContainerClient, name: str) -> list[dict[str, Any]]:
    """Return the rows of a file."""
    return [json.loads(line) for line in file_content(container, name).splitlines()]


def ledger_rows(container: ContainerClient, folder: str) -> list[dict[str, Any]]:
    """Return the rows of the ledgers below a folder, which ends with a slash."""
    names = sorted(name for name in container.list_blob_names(name_starts_with=folder) if "/ledger/" in name)
    return [row for name in names for row in file_rows(container, name)]
