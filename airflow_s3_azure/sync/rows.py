"""The rows of manifests, deletion lists and ledgers. Rows are untrusted when read: each is checked. Pure.

The checks are for what a digest does not cover: a file of an earlier try, and a plan that is itself wrong. They raise
ValueError; :func:`~airflow_s3_azure.sync.lines_reader.read_lines` adds the file and the line.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import NoneType
from typing import Any, Literal, get_args

import msgspec

from airflow_s3_azure.engine.azure.blob_names import why_refused
from airflow_s3_azure.engine.checksums import checksum_type, read_crc64, read_source_checksum
from airflow_s3_azure.engine.conflicts import CONFLICTS
from airflow_s3_azure.engine.model import CopyRequest, CopyResult, Precondition, Status
from airflow_s3_azure.engine.properties import SourceRecord
from airflow_s3_azure.sync.listed_object import ListedKey, ListedObject

JsonObject = Mapping[str, Any]
Types = tuple[type, ...]

MAX_VALUE = 32 * 1024
"""Characters in a value: a few times the longest error, which quotes a key and a blob."""
MAX_NUMBER = 2**63

_TEXT, _TEXT_OR_NULL = (str,), (str, NoneType)
_REQUEST: dict[str, Types] = {
    "key": _TEXT,
    "blob": _TEXT,
    "size": (int,),
    "etag": _TEXT,
    "version_id": _TEXT_OR_NULL,
    "blob_etag": _TEXT_OR_NULL,
    "reason": _TEXT_OR_NULL,
}
_KEY_LIST_REQUEST: dict[str, Types] = {**_REQUEST, "size": (int, NoneType), "etag": _TEXT_OR_NULL}
"""A key of a list whose object the plan could not read."""
_LATER_REQUEST: dict[str, Types] = {
    "adopt": (bool,),
    "from_key_list": (bool,),
    "archived": (bool,),
    "conflict": _TEXT,
    "replace_archived": (bool,),
}
"""Fields that a line has only if they are true."""
_DELETION: dict[str, Types] = {
    "key": _TEXT,
    "blob": _TEXT,
    "size": (int,),
    "blob_etag": _TEXT,
    "last_modified": _TEXT_OR_NULL,
}
_LEDGER: dict[str, Types] = {
    "key": _TEXT_OR_NULL,
    "blob": _TEXT,
    "status": _TEXT,
    "size": (int, NoneType),
    "blocks": (int,),
    "resumed_blocks": (int,),
    "etag": _TEXT_OR_NULL,
    "version_id": _TEXT_OR_NULL,
    "blob_etag": _TEXT_OR_NULL,
    "verified": _TEXT_OR_NULL,
    "bytes_read": (int,),
    "retries": (int,),
    "seconds": (int, float),
    "mib_per_second": (int, float, NoneType),
    "reason": _TEXT_OR_NULL,
    "error": _TEXT_OR_NULL,
    "retryable": (bool, NoneType),
    "batch": (int, NoneType),
    "attempts": (int,),
}
_LATER_COLUMNS: dict[str, Types] = {
    "error_class": _TEXT_OR_NULL,
    "crc64nvme": _TEXT_OR_NULL,
    "source_checksum": _TEXT_OR_NULL,
    "source_checksum_type": _TEXT_OR_NULL,
    "archived": (bool,),
}
"""Columns that earlier versions of this package do not write."""
_STATUSES: tuple[str, ...] = get_args(Status)
_DELETION_STATUSES = ("deleted", "kept", "failed")


def request_as_json(request: CopyRequest) -> JsonObject:
    """Return the manifest's line for a key."""
    condition = request.precondition
    return {
        "key": request.key,
        "blob": request.blob,
        "size": request.size,
        "etag": request.etag,
        "version_id": request.version_id,
        "blob_etag": condition.etag if condition else None,
        "reason": request.reason,
        **({"adopt": True} if request.adopt else {}),
        **({"archived": True} if request.is_archived else {}),
        **({"from_key_list": True} if request.from_key_list else {}),
        **({"conflict": request.conflict} if request.conflict else {}),
        **({"replace_archived": True} if request.replace_archived else {}),
    }


def request_from_json(row: Any, prefix: str = "") -> CopyRequest:
    """Return the request that was :func:`request_as_json`.

    :param prefix: of the plan's keys
    :raises ValueError: if no plan under this prefix can have written it
    """
    is_listed = isinstance(row, dict) and row.get("from_key_list") is True
    _check(row, _KEY_LIST_REQUEST if is_listed else _REQUEST, _LATER_REQUEST)
    if not row["key"].startswith(prefix):
        raise ValueError(f"key {row['key']!r} is not under the plan's prefix {prefix!r}")
    _check_blob(row["blob"])
    for name in ("etag", "blob_etag"):
        if row[name] is not None:
            _check_etag(name, row[name])
    if (conflict := row.get("conflict")) not in (None, *CONFLICTS):
        raise ValueError(f"conflict is {conflict!r:.100}, not one of {', '.join(CONFLICTS)}")
    if row.get("replace_archived") and conflict != "archived":
        raise ValueError("it replaces an archived blob, but the blob is not archived")
    is_known = row["size"] is not None and row["etag"] is not None
    return CopyRequest(
        key=row["key"],
        blob=row["blob"],
        size=row["size"],
        etag=row["etag"],
        version_id=row["version_id"],
        precondition=Precondition(row["blob_etag"]) if is_known else None,
        reason=row["reason"],
        adopt=row.get("adopt", False),
        is_archived=row.get("archived", False),
        from_key_list=is_listed,
        conflict=conflict,
        replace_archived=row.get("replace_archived", False),
    )


def deletion_from_json(row: Any, prefix: str = "") -> JsonObject:
    """Return a row of the deletion list: ``key``, ``blob``, ``size``, ``blob_etag``, ``last_modified``.

    :param prefix: of the plan's blobs
    :raises ValueError: if no plan under this prefix can have written it
    """
    _check(row, _DELETION)
    if not row["blob"].startswith(prefix):
        raise ValueError(f"blob {row['blob']!r} is not under the plan's prefix {prefix!r}")
    _check_blob(row["blob"])
    _check_etag("blob_etag", row["blob_etag"])
    return dict(row)


def ledger_row(result: CopyResult, *, batch: int | None = None, attempts: int = 0) -> dict[str, Any]:
    """Return the ledger's line for a key.

    :param batch: map index of the task that copied the key's batch; None if the plan wrote the row
    :param attempts: the task's tries until then; 0 if the plan wrote the row
    """
    return result.as_json() | {"batch": batch, "attempts": attempts}


_NoCopyRow = msgspec.defstruct(
    "NoCopyRow",
    [(name, Any, value) for name, value in ledger_row(CopyResult("", "", "skipped")).items()],
    kw_only=True,
    gc=False,
)
"""The row of a key that the plan does not copy: it is written as the :func:`ledger_row` with the same values."""


def no_copy_row(
    item: ListedObject,
    blob: str,
    status: Literal["unchanged", "skipped"],
    reason: str,
    *,
    blob_etag: str | None = None,
    record: SourceRecord | None = None,
    archived: bool = False,
) -> msgspec.Struct:
    """Return the :func:`ledger_row` of a key that the plan does not copy, at a tenth of its cost.

    :param reason: a text of this package, without any text of a server
    :param record: that of an unchanged copy, which has its checksums
    :param archived: whether it is skipped because the object is archived
    """
    checksum = record.checksum if record else None
    return _NoCopyRow(
        key=item.key,
        blob=blob,
        status=status,
        size=item.size,
        etag=item.etag or None,
        version_id=item.version_id if isinstance(item, ListedKey) else None,
        blob_etag=blob_etag,
        crc64nvme=record.crc64nvme if record else None,
        source_checksum=checksum,
        source_checksum_type=checksum_type(checksum),
        reason=reason,
        archived=archived,
    )


def ledger_row_from_json(row: Any) -> dict[str, Any]:
    """Return a row of the ledger.

    :raises ValueError: if this package cannot have written it
    """
    _check(row, _LEDGER, _LATER_COLUMNS)
    statuses = _DELETION_STATUSES if row["key"] is None else _STATUSES
    if row["status"] not in statuses:
        raise ValueError(f"status is {row['status']!r}, not one of {', '.join(statuses)}")
    if row["status"] == "copied" and (row["size"] is None or row["verified"] is None):
        raise ValueError("it is copied, but has no size or is verified by nothing")
    if row["status"] == "failed" and (row["error"] is None or row["retryable"] is None):
        raise ValueError("it failed, but has no error")
    _check_checksums(row)
    return dict(row)


def _check(row: Any, columns: Mapping[str, Types], optional: Mapping[str, Types] | None = None) -> None:
    optional = optional or {}
    if type(row) is not dict:
        raise ValueError(f"it is a {type(row).__name__}, not an object")
    if missing := columns.keys() - row.keys():
        raise ValueError(f"it has no {min(missing)}")
    for name, value in row.items():
        types = columns.get(name) or optional.get(name)
        if types is None:
            raise ValueError(f"it has {name[:100]!r}, which is never written")
        if type(value) not in types:  # a bool is no number here
            raise ValueError(f"{name} is of type {type(value).__name__}")
        if value:  # nearly half of the values are null or 0
            _check_value(name, value)


def _check_value(name: str, value: Any) -> None:
    kind = type(value)
    if kind is str:
        if len(value) > MAX_VALUE:
            raise ValueError(f"{name} has {len(value):,} characters")
        if not value.isascii():
            value.encode()  # half a surrogate pair raises a ValueError
    elif kind in (int, float) and not -1 <= value < MAX_NUMBER:  # NaN is neither
        raise ValueError(f"{name} is out of range")


def _check_blob(name: str) -> None:
    if refused := why_refused(name):
        raise ValueError(f"blob {name!r}: {refused}")


def _check_checksums(row: JsonObject) -> None:
    crc64nvme, checksum = row.get("crc64nvme"), row.get("source_checksum")
    if crc64nvme != read_crc64(crc64nvme):
        raise ValueError(f"crc64nvme is {crc64nvme!r:.100}, which is no CRC-64 in base64")
    if checksum != read_source_checksum(checksum):
        raise ValueError(f"source_checksum is {checksum!r:.100}, which is no checksum that S3 stores")
    if row.get("source_checksum_type") != checksum_type(checksum):
        raise ValueError(f"source_checksum_type is {row.get('source_checksum_type')!r:.100}, of {checksum!r}")


def _check_etag(name: str, etag: str) -> None:
    if etag.strip(' "') in ("", "*") or not etag.isprintable():
        raise ValueError(f"{name} is {etag[:100]!r}, which names no version")
