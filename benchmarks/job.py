"""What a client copies."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace

from benchmarks.source import bucket_name, key_name


@dataclass(frozen=True, slots=True)
class Job:
    """Objects to copy, and over how many connections.

    :param source: S3's endpoint
    :param sink: the URL of Azure's account
    :param container: an empty container
    :param objects: how many
    :param size: bytes of each
    :param connections: at most so many to each endpoint, for the clients that take it
    :param block_size: bytes, for the clients that take it
    """

    source: str
    sink: str
    container: str
    objects: int
    size: int
    connections: int = 8
    block_size: int = 8 * 1024 * 1024

    @property
    def bucket(self) -> str:
        """The bucket that holds these objects and no others."""
        return bucket_name(self.objects, self.size)

    @property
    def keys(self) -> list[str]:
        """The keys of the objects, which are the names of the blobs too."""
        return [key_name(number) for number in range(self.objects)]

    def smallest(self) -> Job:
        """Return the job of one small object in a container of its own, to warm up with."""
        return replace(self, container=f"{self.container}-warm", objects=1, size=1024)

    def as_text(self) -> str:
        """Return the job as command line arguments."""
        return json.dumps(asdict(self))

    @classmethod
    def from_text(cls, text: str) -> Job:
        """Return the job that was :meth:`as_text`."""
        return cls(**json.loads(text))
