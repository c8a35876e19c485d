"""What is measured: which clients copy what, over which link, how often."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.clients import CLIENTS
from benchmarks.link import Link

MIB = 1024 * 1024
GIB = 1024 * MIB

TO_SOURCE = Link(round_trip=0.04, rate=25e6)
TO_SINK = Link(round_trip=0.02)
"""The shaped link: 40 ms and 25 MB/s per connection to S3, 20 ms to Azure."""


@dataclass(frozen=True, slots=True)
class Case:
    """One thing to copy, and who copies it.

    :param size: bytes of each object
    :param rounds: at most so many, however many the others have
    :param once: clients that copy it in the first round only, because they take minutes
    :param is_linked: whether over the shaped link, else over loopback
    :param processes: that copy at the same time, each its share of the objects
    :param is_tls: whether over TLS 1.3, as all real traffic is, else over plain HTTP
    """

    id: str
    title: str
    objects: int
    size: int
    clients: Sequence[str]
    rounds: int = 100
    once: Sequence[str] = ()
    is_linked: bool = False
    is_tls: bool = False
    processes: int = 1
    connections: int = 8
    block_size: int = 8 * MIB

    @property
    def total(self) -> int:
        """Bytes of all objects."""
        return self.objects * self.size


LARGE, SMALL = "tls-large", "tls-small"
"""The cases that the summary and the chart show: all real traffic is TLS."""

EVERYONE = tuple(CLIENTS)
FOUR = ("ours", "rclone", "rclone-tuned", "floor", "curl")
ON_LINK = ("ours", "rclone-tuned", "stock")
GRID_BLOCKS = (1, 4, 8, 16, 32)
"""MiB."""
GRID_CONNECTIONS = (4, 8, 16)


def full() -> list[Case]:
    """Return the cases of `make bench`."""
    return [
        Case("tls-large", "1 GiB object, TLS", 1, GIB, EVERYONE, is_tls=True),
        Case("tls-small", "1,000 × 64 KiB, TLS", 1000, 64 * 1024, EVERYONE, is_tls=True),
        Case("tls-four", "4 × 256 MiB in four processes, TLS", 4, 256 * MIB, FOUR, is_tls=True, processes=4),
        Case("large", "1 GiB object", 1, GIB, EVERYONE),
        Case("four", "4 × 256 MiB in four processes", 4, 256 * MIB, FOUR, processes=4),
        Case("several", "8 × 128 MiB", 8, 128 * MIB, EVERYONE),
        Case("small", "1,000 × 64 KiB", 1000, 64 * 1024, EVERYONE),
        Case("link-large", "1 GiB object, shaped link", 1, GIB, ON_LINK, is_linked=True),
        Case("link-small", "1,000 × 64 KiB, shaped link", 1000, 64 * 1024, ON_LINK, once=("stock",), is_linked=True),
        Case("objects-1k", "1,000 × 4 KiB in one batch", 1000, 4096, ("ours-batch",)),
        Case("objects-10k", "10,000 × 4 KiB in one batch", 10_000, 4096, ("ours-batch",), rounds=2),
        Case("objects-100k", "100,000 × 4 KiB in one batch", 100_000, 4096, ("ours-batch",), rounds=1),
        Case("size-1", "1 GiB object, for scale", 1, GIB, ("ours",)),
        Case("size-8", "8 GiB object", 1, 8 * GIB, ("ours",), rounds=2),
        Case("size-32", "32 GiB object", 1, 32 * GIB, ("ours",), rounds=1),
        *(
            Case(
                f"grid-{block}-{connections}",
                f"1 GiB object, blocks of {block} MiB, {connections} threads",
                1,
                GIB,
                ("ours",),
                rounds=1,
                connections=connections,
                block_size=block * MIB,
            )
            for block in GRID_BLOCKS
            for connections in GRID_CONNECTIONS
        ),
        *(
            Case(
                f"link-grid-{connections}",
                f"256 MiB object, shaped link, {connections} threads",
                1,
                256 * MIB,
                ("ours",),
                rounds=1,
                is_linked=True,
                connections=connections,
            )
            for connections in (2, 4, 8, 16, 32)
        ),
    ]


def quick() -> list[Case]:
    """Return the cases of `make bench-quick`: the same questions, fewer bytes."""
    return [
        Case("tls-large", "512 MiB object, TLS", 1, 512 * MIB, EVERYONE, is_tls=True),
        Case("tls-small", "250 × 64 KiB, TLS", 250, 64 * 1024, EVERYONE, is_tls=True),
        Case("tls-four", "4 × 64 MiB in four processes, TLS", 4, 64 * MIB, FOUR, is_tls=True, processes=4),
        Case("large", "512 MiB object", 1, 512 * MIB, EVERYONE),
        Case("four", "4 × 64 MiB in four processes", 4, 64 * MIB, FOUR, processes=4),
        Case("small", "250 × 64 KiB", 250, 64 * 1024, EVERYONE),
        Case("link-large", "256 MiB object, shaped link", 1, 256 * MIB, ON_LINK, is_linked=True),
        Case("link-small", "50 × 64 KiB, shaped link", 50, 64 * 1024, ON_LINK, is_linked=True),
        Case("objects-1k", "1,000 × 4 KiB in one batch", 1000, 4096, ("ours-batch",)),
    ]
