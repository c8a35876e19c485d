"""Reads the files of key lists, in S3 and in Azure, as streams of bytes, each pinned to the version that was found first."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Protocol

from airflow_s3_azure.engine.blocks import MIB, Block, split
from airflow_s3_azure.engine.cancellation import Cancellation
from airflow_s3_azure.engine.errors import PlanError
from airflow_s3_azure.engine.model import SourceObject
from airflow_s3_azure.engine.retry import RetryPolicy
from airflow_s3_azure.engine.s3.source import S3Source
from airflow_s3_azure.sync.lines_reader import etag_of, read_pieces

if TYPE_CHECKING:
    from azure.storage.blob import ContainerClient

PIECE_SIZE = 4 * MIB
"""Bytes of a range request."""


class StoredFile(Protocol):
    """A file that a plan reads, perhaps several times.

    :ivar name: its key or its blob name
    :ivar url: without credentials
    """

    name: str
    url: str

    def pieces(self) -> Iterator[bytes]:
        """Yield the content; each time of the same version.

        :raises TransferError: if it cannot be read, or has changed since the first time
        """

    def read(self, start: int, stop: int) -> bytes:
        """Return the bytes from ``start`` to ``stop`` of the same version; see :meth:`pieces`."""


class S3File:
    """An object of a bucket."""

    def __init__(
        self,
        source: S3Source,
        key: str,
        *,
        retry: RetryPolicy | None = None,
        cancellation: Cancellation | None = None,
    ) -> None:
        self.name = key
        self.url = source.url(key)
        self._source = source
        self._retry = retry or RetryPolicy()
        self._cancellation = cancellation or Cancellation()
        self._found: SourceObject | None = None

    @property
    def bucket(self) -> str:
        """The name of its bucket."""
        return self._source.bucket

    def beside(self, key: str) -> S3File:
        """Return another object of the bucket."""
        return S3File(self._source, key, retry=self._retry, cancellation=self._cancellation)

    def pieces(self) -> Iterator[bytes]:
        """Yield the content, at most 4 MiB at a time."""
        for block in split(self._object.size, PIECE_SIZE):
            yield self.read(block.start, block.stop)

    def read(self, start: int, stop: int) -> bytes:
        """Return a range of the content."""
        piece, found = bytearray(stop - start), self._object
        with memoryview(piece) as view:
            self._retry.call(
                lambda: self._source.read(found, Block(0, start, stop), view, _ignore),
                self._cancellation,
            )
        return bytes(piece)

    @property
    def _object(self) -> SourceObject:
        """The version that was found first."""
        if self._found is None:
            self._found = self._retry.call(lambda: self._source.head(self.name), self._cancellation)
        return self._found


class BlobFile:
    """A blob of a container."""

    def __init__(self, client: ContainerClient, name: str, url: str) -> None:
        self.name = name
        self.url = url
        self._client = client
        self._etag: str | None = None

    def pieces(self) -> Iterator[bytes]:
        """Yield the content, at most 4 MiB at a time."""
        yield from read_pieces(self._client, self.name, 0, None, etag=self._pinned, size=PIECE_SIZE)

    def read(self, start: int, stop: int) -> bytes:
        """Return a range of the content."""
        return b"".join(read_pieces(self._client, self.name, start, stop, etag=self._pinned, size=PIECE_SIZE))

    @property
    def _pinned(self) -> str:
        """The ETag of the version that was found first."""
        if self._etag is None:
            self._etag = etag_of(self._client, self.name)
        if self._etag is None:
            raise PlanError(f"keys is {self.url!r}, but there is no such blob; check the URL")
        return self._etag


def _ignore(size: int) -> None:
    del size
