"""A container in memory, with what plans and ledgers use of the SDK's client; its contract is in ``test_jsonlines``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from azure.core import MatchConditions
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.storage.blob import BlobBlock

if TYPE_CHECKING:
    from azure.storage.blob import ContainerClient


def refusal(status: int, code: str) -> HttpResponseError:
    """Return what the SDK raises for an error response."""
    kind = ResourceNotFoundError if status == 404 else HttpResponseError
    error = kind(message=code)
    error.status_code = status
    cast("Any", error).error_code = code
    return error


@dataclass
class _Piece:
    data: bytes

    def readall(self) -> bytes:
        return self.data


@dataclass
class _Name:
    name: str


class MemoryContainer:
    """Committed blobs, and blocks that are not committed."""

    url = "https://account.example/container"

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}
        self.commits = 0
        self._versions: Counter[str] = Counter()
        self.etags: dict[str, str] = {}
        self.metadata: dict[str, dict[str, str]] = {}
        self._staged: dict[str, dict[str, bytes]] = {}
        self._committed: dict[str, dict[str, bytes]] = {}

    def as_client(self) -> ContainerClient:
        """Return it typed as the SDK's client."""
        return cast("ContainerClient", self)

    def get_blob_client(self, name: str) -> MemoryBlob:
        """Return a client of one blob."""
        return MemoryBlob(self, name)

    def next_etag(self, name: str) -> str:
        """Return an ETag that no version of this blob has had."""
        self._versions[name] += 1
        return f'"{self._versions[name]}"'

    def stage(self, name: str, block_id: str, data: bytes) -> None:
        """Stage a block of a blob."""
        self._staged.setdefault(name, {})[block_id] = data

    def commit(self, name: str, ids: Sequence[str]) -> None:
        """Commit blocks, and drop the others."""
        known = {**self._committed.get(name, {}), **self._staged.get(name, {})}
        if any(one not in known for one in ids):
            raise refusal(400, "InvalidBlockList")
        self.commits += 1
        self._committed[name] = {one: known[one] for one in ids}
        self._staged.pop(name, None)
        self.blobs[name] = b"".join(self._committed[name].values())

    def download_blob(
        self,
        name: str,
        offset: int,
        length: int,
        etag: str | None = None,
        match_condition: MatchConditions = MatchConditions.Unconditionally,
        **options: Any,
    ) -> _Piece:
        """Return a reader of a range of a blob."""
        del options
        if name not in self.blobs:
            raise refusal(404, "BlobNotFound")
        if match_condition == MatchConditions.IfNotModified and etag != self.etags[name]:
            raise refusal(412, "ConditionNotMet")
        data = self.blobs[name]
        if offset >= len(data) and offset:
            raise refusal(416, "InvalidRange")
        return _Piece(data[offset : offset + length])

    def upload_blob(self, name: str, data: bytes, **options: Any) -> None:
        """Write a blob, as another tool does."""
        del options
        self.stage(name, "other", data)
        self.commit(name, ["other"])
        self.metadata[name] = {}
        self.etags[name] = self.next_etag(name)

    def delete_blob(self, name: str) -> None:
        """Delete a blob."""
        if name not in self.blobs:
            raise refusal(404, "BlobNotFound")
        del self.blobs[name], self._committed[name]

    def list_blobs(self, name_starts_with: str) -> Iterator[_Name]:
        """Yield the blobs under a prefix."""
        return (_Name(name) for name in sorted(self.blobs) if name.startswith(name_starts_with))


@dataclass
class _Properties:
    etag: str
    metadata: dict[str, str]


class MemoryBlob:
    """One blob of a container in memory."""

    def __init__(self, container: MemoryContainer, name: str) -> None:
        self._container = container
        self._name = name

    def stage_block(self, block_id: str, data: bytes, length: int, **options: Any) -> None:
        """Stage a block."""
        del options
        assert len(data) == length
        self._container.stage(self._name, block_id, data)

    def commit_block_list(
        self,
        blocks: Sequence[BlobBlock],
        metadata: dict[str, str] | None = None,
        etag: str | None = None,
        match_condition: MatchConditions = MatchConditions.Unconditionally,
        **options: Any,
    ) -> dict[str, str]:
        """Commit the blob."""
        del options
        container = self._container
        if match_condition == MatchConditions.IfMissing and self._name in container.blobs:
            raise refusal(409, "BlobAlreadyExists")
        if match_condition == MatchConditions.IfNotModified and etag != container.etags.get(self._name):
            raise refusal(412, "ConditionNotMet")
        container.commit(self._name, [str(block.id) for block in blocks])
        container.metadata[self._name] = metadata or {}
        container.etags[self._name] = container.next_etag(self._name)
        return {"etag": container.etags[self._name]}

    def get_blob_properties(self, **options: Any) -> _Properties:
        """Return the blob's properties."""
        del options
        if self._name not in self._container.blobs:
            raise refusal(404, "BlobNotFound")
        return _Properties(self._container.etags[self._name], self._container.metadata[self._name])
