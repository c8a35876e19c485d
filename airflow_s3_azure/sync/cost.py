"""The requests, bytes and price of a plan, computed in advance. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from airflow_s3_azure.engine.blocks import DEFAULT_BLOCK_SIZE, MIB, block_size_for
from airflow_s3_azure.engine.progress import count_text, size_text

GIB = 1024 * MIB


@dataclass(slots=True)
class Cost:
    """Requests and bytes of the objects to copy, if no request is retried.

    An object of at most one block takes a GET and a Put Blob. A larger one takes a HEAD and a GET for each block; Get
    Block List, a Put Block for each block, and Put Block List. Not counted: the listings, the manifest and the
    ledger; an additional HEAD for composite checksums, an additional request for ``copy_tags``.

    :param block_size: bytes
    A blob to read back takes a HEAD of the object; a HEAD, a GET of each block and Set Blob Metadata of the blob. Only if
    its content differs, its object is copied, which is not counted.

    :param size: bytes to read from S3, each once
    :param read_back_objects: blobs of other tools to read back and compare
    :param read_back_size: bytes of those, to read from Azure
    """

    block_size: int = DEFAULT_BLOCK_SIZE
    objects: int = 0
    size: int = 0
    s3_requests: int = 0
    azure_requests: int = 0
    read_back_objects: int = 0
    read_back_size: int = 0

    def add(self, size: int) -> None:
        """Count an object of ``size`` bytes."""
        self.objects += 1
        self.size += size
        if size <= self.block_size:
            self.s3_requests += 1
            self.azure_requests += 1
            return
        blocks = -(-size // block_size_for(size, self.block_size))
        self.s3_requests += 1 + blocks
        self.azure_requests += 2 + blocks

    def add_read_back(self, size: int) -> None:
        """Count a blob of ``size`` bytes that is read back and compared."""
        self.read_back_objects += 1
        self.read_back_size += size
        self.s3_requests += 1
        self.azure_requests += 2 - (-size // block_size_for(size, min(self.block_size, DEFAULT_BLOCK_SIZE)))

    def as_json(self, egress_price_per_gib: float | None = None) -> dict[str, Any]:
        """Return the cost for XCom.

        :param egress_price_per_gib: what a GiB out of S3 costs, in any currency; None: the price is None
        """
        gib = self.size / GIB
        return {
            "objects": self.objects,
            "bytes": self.size,
            "s3_requests": self.s3_requests,
            "azure_requests": self.azure_requests,
            "read_back_objects": self.read_back_objects,
            "read_back_bytes": self.read_back_size,
            "egress_gib": round(gib, 3),
            "egress_price": None if egress_price_per_gib is None else round(gib * egress_price_per_gib, 2),
        }


def cost_text(cost: Mapping[str, Any]) -> str:
    """Return a cost, as XCom holds it, as a line for the log."""
    price = "" if cost["egress_price"] is None else f" for {cost['egress_price']:,.2f}"
    return (
        f"{cost['objects']:,} objects ({size_text(cost['bytes'])}) with {cost['s3_requests']:,} requests to S3 and "
        f"{cost['azure_requests']:,} to Azure, {cost['egress_gib']:.3f} GiB out of S3{price}"
    ) + (f"; {text}" if (text := read_back_text(cost)) else "")


def read_back_text(cost: Mapping[str, Any]) -> str:
    """Return what is read back, as a line for the log; empty if there is nothing."""
    count = cost.get("read_back_objects", 0)
    if not count:
        return ""
    size = size_text(cost["read_back_bytes"])
    return f"{count_text(count, 'blob')} of other tools ({size}) are read back from Azure, and copied if they differ"
