"""The files of a run with their SHA-256, and the digest of that list: it shows that a ledger was changed afterwards. Pure.

The canonical form of the list is what ``sha256sum`` prints: for each file its SHA-256 in hexadecimal, two spaces, its name
in the container, and a newline, ordered by the name's UTF-8 bytes. Blob names have no backslash and no control character,
so ``sha256sum`` escapes none of them. The digest is the SHA-256 of that text, so ``sha256sum`` and ``jq`` recompute it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Any

from airflow_s3_azure.sync.fingerprint import Fingerprint


def run_files(fingerprints: Mapping[str, Fingerprint]) -> list[dict[str, Any]]:
    """Return the files of a run in canonical order: ``name``, ``size`` in bytes, ``rows``, ``sha256``.

    :param fingerprints: of the files, by their name in the container, as the tasks returned them that wrote the files
    """
    return [
        {"name": name, "size": one.size, "rows": one.rows, "sha256": one.sha256}
        for name, one in sorted(fingerprints.items(), key=lambda item: item[0].encode())
    ]


def files_digest(files: Iterable[Mapping[str, Any]]) -> str | None:
    """Return the SHA-256 of the canonical form of :func:`run_files`, in hexadecimal.

    None: an earlier version of this package wrote one of the files and returned no SHA-256 of it.
    """
    digest = sha256()
    for one in files:
        if one["sha256"] is None:
            return None
        digest.update(f"{one['sha256']}  {one['name']}\n".encode())
    return digest.hexdigest()
