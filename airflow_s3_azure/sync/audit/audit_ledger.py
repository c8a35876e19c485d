"""The ledger of an audit: JSON lines in the audited container, one line per blob, in the order of the names.

Each audit owns a folder, below that of its run::

    _s3_to_azure/<dag_id>/<run_id>/<task_id>/
        <time of the audit>-<16 random hexadecimal digits>/
            audit.jsonl     the result of each blob
            audit.json      the totals; written last

The container is untrusted. So what a later execution continues from, a :class:`Checkpoint`, is kept outside of it: rows of
the ledger count only if they have the checkpoint's digest.
"""

from __future__ import annotations

import secrets
from base64 import b64decode
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from types import NoneType
from typing import TYPE_CHECKING, Any, Protocol

from airflow_s3_azure.engine.cancellation import Cancellation
from airflow_s3_azure.engine.checksums import s3_text
from airflow_s3_azure.engine.model import Precondition
from airflow_s3_azure.sync.audit.content_reader import Partial
from airflow_s3_azure.sync.audit.expectations import ExpectationSpool
from airflow_s3_azure.sync.audit.findings import FINDINGS
from airflow_s3_azure.sync.fingerprint import Fingerprint
from airflow_s3_azure.sync.json_blob import write_json_blob
from airflow_s3_azure.sync.ledger import checked_path
from airflow_s3_azure.sync.lines_reader import etag_of, read_lines
from airflow_s3_azure.sync.lines_writer import LinesWriter
from airflow_s3_azure.sync.rows import JsonObject
from airflow_s3_azure.sync.spool import BlobSpool

if TYPE_CHECKING:
    from azure.storage.blob import ContainerClient

PARTIAL = "partial"
"""Status of the row of a blob that is not read to its end; only the last row of an execution that was stopped has it."""
_COLUMNS: dict[str, tuple[type, ...]] = {
    "blob": (str,),
    "key": (str, NoneType),
    "status": (str,),
    "reason": (str, NoneType),
    "compared": (str,),
    "expected_size": (int, NoneType),
    "found_size": (int, NoneType),
    "expected_blob_etag": (str, NoneType),
    "found_blob_etag": (str, NoneType),
    "expected_etag": (str, NoneType),
    "found_etag": (str, NoneType),
    "expected_crc64nvme": (str, NoneType),
    "found_crc64nvme": (str, NoneType),
    "bytes_read": (int,),
}


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """How far an audit got.

    :param folder: of the audit
    :param audit: what is audited: a digest of its options; an audit of something else does not continue from it
    :param until: the newest plan whose ledger is the truth; empty: it is the blobs' records
    :param stop: byte of the ledger after the last row that counts
    :param digest: of the rows until there
    :param rows: how many there are
    :param is_sorted: whether the container lists in the order of the names
    """

    folder: str
    audit: str
    until: str = ""
    stop: int = 0
    digest: str = ""
    rows: int = 0
    is_sorted: bool = True

    def as_json(self) -> dict[str, Any]:
        """Return the checkpoint as JSON values."""
        return asdict(self)


class Checkpoints(Protocol):
    """Where the checkpoint of one audit is kept; no writer of the container can change it."""

    def load(self) -> Checkpoint | None:
        """Return the last checkpoint; None if there is none."""

    def save(self, checkpoint: Checkpoint) -> None:
        """Keep a checkpoint."""

    def clear(self) -> None:
        """Forget the checkpoint: the audit is complete."""


class AuditFolder:
    """The folder of one audit.

    :param client: of the container
    :param path: the folder's name, without a slash at the end
    :raises PlanError: if it would leave the folder of records, or Azure cannot hold it
    """

    def __init__(self, client: ContainerClient, path: str, cancellation: Cancellation) -> None:
        self._client = client
        self.path = checked_path(path, "audit")
        self._name = f"{path}/audit.jsonl"
        self._cancellation = cancellation

    @property
    def ledger_url(self) -> str:
        """The URL of the ledger, without any credential."""
        return f"{self._client.url.partition('?')[0]}/{self._name}"

    def writer(self) -> LinesWriter:
        """Return a writer of the ledger. An earlier execution that still runs can no longer commit once it has committed."""
        return LinesWriter(
            self._client, self._name, Precondition(etag_of(self._client, self._name)), cancellation=self._cancellation
        )

    def confirmed_rows(self, checkpoint: Checkpoint) -> Iterator[JsonObject]:
        """Yield the rows of the ledger that an earlier execution wrote.

        :raises UntrustedFile: if they are not those of the checkpoint
        """
        etag = etag_of(self._client, self._name)
        if etag is None or not checkpoint.rows:
            return
        expected = Fingerprint(etag, checkpoint.digest, checkpoint.rows)
        yield from read_lines(
            self._client, self._name, 0, checkpoint.stop, expected=expected, parse=audit_row_from_json
        )

    def write_totals(self, totals: JsonObject) -> str:
        """Write the audit's totals; return their URL, without any credential."""
        return write_json_blob(self._client, f"{self.path}/audit.json", totals)

    def expectation_spool(self) -> ExpectationSpool:
        """Return where segments of the sorted ledgers wait to be merged."""
        return ExpectationSpool(self._client, f"{self.path}/sort/expected-{secrets.token_hex(4)}", self._cancellation)

    def listing_spool(self) -> BlobSpool:
        """Return where segments of the sorted listing wait to be merged."""
        return BlobSpool(self._client, f"{self.path}/sort/listed-{secrets.token_hex(4)}", self._cancellation)


def partial_row(partial: Partial) -> JsonObject:
    """Return the last row of an execution that stopped while it read a blob."""
    found = {
        "blob": partial.blob,
        "status": PARTIAL,
        "compared": "content",
        "found_blob_etag": partial.etag,
        "found_crc64nvme": s3_text("CRC64NVME", partial.crc64),
        "bytes_read": partial.position,
    }
    return dict.fromkeys(_COLUMNS) | found


def partial_of(row: JsonObject) -> Partial:
    """Return what :func:`partial_row` wrote."""
    crc64 = int.from_bytes(b64decode(row["found_crc64nvme"]), "big")
    return Partial(row["blob"], row["found_blob_etag"], crc64, row["bytes_read"])


def audit_row_from_json(row: Any) -> JsonObject:
    """Return a row of an audit's ledger.

    :raises ValueError: if no audit can have written it
    """
    if type(row) is not dict or row.keys() != _COLUMNS.keys():
        raise ValueError("it has not the columns of an audit's ledger")
    for name, value in row.items():
        if type(value) not in _COLUMNS[name]:
            raise ValueError(f"{name} is of type {type(value).__name__}")
    if row["status"] not in (*FINDINGS, PARTIAL):
        raise ValueError(f"status is {row['status'][:100]!r}")
    return row
