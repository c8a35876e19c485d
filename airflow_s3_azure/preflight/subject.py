"""What the checks of a preflight share: both endpoints, the requests so far, and the blobs to remove at the end."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

from airflow_s3_azure.engine.azure.container import BlobContainer
from airflow_s3_azure.engine.cancellation import Cancellation
from airflow_s3_azure.engine.errors import TransferError
from airflow_s3_azure.engine.http.observer import Exchange, Observer
from airflow_s3_azure.engine.model import SourceObject
from airflow_s3_azure.engine.properties import http_date
from airflow_s3_azure.engine.quoting import get_logger
from airflow_s3_azure.engine.s3.source import S3Source
from airflow_s3_azure.preflight.preflight_options import PreflightOptions

log = get_logger(__name__)

MAX_REQUESTS = 150
"""Requests of a preflight to one service; then it runs no further check."""
MAX_SENT = 12 * 1024 * 1024
"""Bytes of request bodies to Azure; then it runs no further check."""


class Bucket(Protocol):
    """A bucket: the engine's source, and a boto3 client of the same connection."""

    @property
    def source(self) -> S3Source:
        """The engine's source."""

    @property
    def client(self) -> Any:
        """The boto3 client."""


class Container(Protocol):
    """A container of the engine."""

    @property
    def blobs(self) -> BlobContainer:
        """The engine's container."""


class Exchanges:
    """Records the exchanges of one service. Called from several threads."""

    def __init__(self) -> None:
        self._changing = threading.Lock()
        self._all: list[Exchange] = []
        self.clock_difference: float | None = None
        """Seconds that this machine's clock is ahead of the service's, at the first response; None: unknown."""

    def __call__(self, exchange: Exchange) -> None:
        """Record an exchange."""
        with self._changing:
            self._all.append(exchange)
            theirs = http_date(exchange.headers.get("date"))
            if self.clock_difference is None and theirs is not None:
                self.clock_difference = (datetime.now(UTC) - theirs).total_seconds()

    @property
    def count(self) -> int:
        """The number of requests so far."""
        return len(self._all)

    @property
    def sent(self) -> int:
        """Bytes of request bodies so far."""
        return sum(one.sent for one in self._all)

    def since(self, count: int) -> list[Exchange]:
        """Return the exchanges after the first ``count``."""
        return self._all[count:]

    @property
    def last(self) -> Exchange:
        """The last exchange."""
        return self._all[-1]


class Workspace:
    """The blobs that a preflight writes, all below a random name.

    :param blob_prefix: before that name
    """

    def __init__(self, blob_prefix: str) -> None:
        # Spark and Hive skip names that begin with an underscore.
        self.prefix = f"{blob_prefix}_s3_to_azure_preflight_{secrets.token_hex(6)}/"
        self.blobs: list[str] = []

    def blob(self, name: str) -> str:
        """Return the whole name of a blob, which is removed at the end."""
        whole = self.prefix + name
        if whole not in self.blobs:
            self.blobs.append(whole)
        return whole

    def remove(self, container: BlobContainer) -> list[str]:
        """Remove the blobs and what is staged for them, in reverse order; return those that may not be removed."""
        left = []
        for blob in reversed(self.blobs):
            try:
                state = container.head(blob)
                if state is not None:
                    container.delete(blob, state.etag)
                elif container.staged(blob):
                    container.discard_staged(blob)
            except TransferError as error:
                log.warning("blob %r of the preflight could not be removed: %s", blob, error)
                left.append(blob)
        return left


@dataclass
class Subject:
    """Both endpoints of a copy, as the checks use them.

    :param open_bucket: opens the source; is passed an observer of its requests
    :param open_container: opens the destination; is passed an observer of its requests
    :param workspace: the blobs that the checks write
    :param cancellation: checked before each check, and while one waits
    :param forbidden: the names of checks that this Airflow's guardrails forbid, each with the reason
    """

    open_bucket: Callable[[Observer], Bucket]
    open_container: Callable[[Observer], Container]
    options: PreflightOptions
    workspace: Workspace
    cancellation: Cancellation = field(default_factory=Cancellation)
    forbidden: Mapping[str, str] = field(default_factory=dict)
    s3: Exchanges = field(default_factory=Exchanges)
    azure: Exchanges = field(default_factory=Exchanges)
    bucket: Bucket | None = None
    container: Container | None = None
    candidate: str = ""
    """The key to read, from the listing."""
    found: SourceObject | None = None
    """The object to read, from its HEAD."""
    is_protected: bool = False
    """Whether a policy of the container would keep what the preflight writes."""
    is_hierarchical: bool = False
    can_delete: bool = False
    etag: str = ""
    """Of the blob that the checks write."""

    @property
    def source(self) -> S3Source:
        """The source, which is open."""
        assert self.bucket is not None
        return self.bucket.source

    @property
    def blobs(self) -> BlobContainer:
        """The destination, which is open."""
        assert self.container is not None
        return self.container.blobs

    @property
    def blob(self) -> str:
        """The name of the blob that most checks write."""
        return self.workspace.blob("blob")

    def is_exhausted(self) -> bool:
        """Return whether the limits of requests and bytes are used up."""
        return max(self.s3.count, self.azure.count) >= MAX_REQUESTS or self.azure.sent >= MAX_SENT
