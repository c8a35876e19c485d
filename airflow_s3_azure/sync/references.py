"""References to batches: the argument of a mapped task, and its label in the UI. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

from airflow_s3_azure.engine.errors import PlanError
from airflow_s3_azure.engine.progress import count_text, size_text
from airflow_s3_azure.engine.quoting import printable, shorten
from airflow_s3_azure.sync.batch import MAX_BATCHES, ManifestRange, shared_start

MAX_LABEL = 200
"""Characters of keys in a batch's label: Airflow's database takes 250 for the whole."""

_TO = " … "
"""Between the first and the last key of a label."""


@dataclass(frozen=True, slots=True)
class BatchReference:
    """Which lines of a manifest a mapped task copies. Small enough for XCom a thousand times.

    XCom is trusted and the manifest is not, so the reference holds the digest of its lines.

    :param folder: the plan's folder
    :param index: the batch's number, from 0
    :param what: the folder or the keys that it copies
    :param size: bytes
    :param start: byte of the manifest at which its lines begin
    :param stop: byte after its lines
    :param prefix: of the plan's keys
    :param etag: of the manifest
    :param ranges: the byte after each range of its lines, their number and their digest; several where batches were
        joined
    """

    folder: str
    index: int
    what: str
    objects: int
    size: int
    start: int
    stop: int
    prefix: str
    etag: str
    ranges: tuple[tuple[int, int, str], ...]

    @classmethod
    def of(cls, folder: str, index: int, run: ManifestRange, *, prefix: str, etag: str, digest: str) -> BatchReference:
        """Return the reference to a run of the manifest's lines."""
        ranges = ((run.stop, run.objects, digest),)
        return cls(folder, index, _what(run), run.objects, run.size, run.start, run.stop, prefix, etag, ranges)

    @classmethod
    def from_json(cls, found: Mapping[str, Any], run_folder: str) -> BatchReference:
        """Return the reference that was :meth:`as_json`.

        :param run_folder: of the run whose plan it is, see :func:`~airflow_s3_azure.sync.ledger.run_folder`
        :raises PlanError: if an earlier version of this package made the plan
        """
        try:
            etag, start, ranges = _lines(found)
            # Earlier versions wrote the whole path, as "folder".
            folder = f"{run_folder}/{found['plan']}" if "plan" in found else found["folder"]
            what = f"{found['prefix']}{found['below']}" if "below" in found else found["what"]
            objects, size = sum(rows for _, rows, _ in ranges), found["size"]
            return cls(folder, found["index"], what, objects, size, start, ranges[-1][0], found["prefix"], etag, ranges)
        except KeyError as error:
            raise PlanError(
                f"the batch has no {error}: an earlier version of airflow-s3-azure made the plan; clear the plan task"
            ) from None

    def as_json(self, run_folder: str) -> dict[str, Any]:
        """Return the reference as XCom holds it: without what is known of the run, and nothing twice.

        ``lines`` has the ETag of the manifest without its quotes, the first byte, and the values of each range: names of fields would
        be half of the reference.

        :param run_folder: of the run, which its folder is below
        """
        is_below = bool(self.prefix) and self.what.startswith(self.prefix)
        return {
            "plan": self.folder.removeprefix(f"{run_folder}/"),
            "index": self.index,
            **({"below": self.what.removeprefix(self.prefix)} if is_below else {"what": self.what}),
            "size": self.size,
            "prefix": self.prefix,
            "lines": [self.etag.removeprefix('"').removesuffix('"'), self.start, *chain.from_iterable(self.ranges)],
        }

    @property
    def label(self) -> str:
        """What the UI calls the batch, such as ``exports/2026/11/ (812 objects, 3.1 GiB)``; printable."""
        if self.objects == 1:
            return f"{self.what} ({size_text(self.size)})"
        return f"{self.what} ({count_text(self.objects, 'object')}, {size_text(self.size)})"

    @property
    def part(self) -> str:
        """The name of the batch's part of the ledger."""
        return f"{self.index:05d}"

    def joined(self, other: BatchReference) -> BatchReference:
        """Return this batch and the one that follows it in the same manifest as one."""
        half = MAX_LABEL // 2
        first, last = self.what.partition(_TO)[0], other.what.rpartition(_TO)[2]
        shared = shared_start(first, last) if _TO not in self.what + other.what else ""
        what = shared[: shared.rfind("/") + 1] or f"{shorten(first, half)}{_TO}{shorten(last, half)}"
        objects, size = self.objects + other.objects, self.size + other.size
        ranges = self.ranges + other.ranges
        return replace(self, what=what, objects=objects, size=size, stop=other.stop, ranges=ranges)


def joined_batches(references: Iterable[BatchReference], most: int = MAX_BATCHES) -> list[BatchReference]:
    """Return the batches, neighbours of one plan joined where there are more than ``most``.

    :raises PlanError: if there are more plans than that
    """
    found = list(references)
    while len(found) > most:
        shorter = _joined_pairs(found, len(found) - most)
        if len(shorter) == len(found):
            raise PlanError(
                f"{len(found):,} plans have something to copy, but Airflow maps over {most:,} batches at most ([core] "
                "max_map_length): raise it, or give fewer, shorter prefixes"
            )
        found = shorter
    return found


def _joined_pairs(references: Sequence[BatchReference], most: int) -> list[BatchReference]:
    """Return the batches with at most ``most`` pairs of neighbours joined; no batch is joined twice."""
    found: list[BatchReference] = []
    left, may_grow = most, False
    for one in references:
        last = found[-1] if may_grow and left else None
        if last is not None and last.stop == one.start and last.folder == one.folder:
            found[-1] = last.joined(one)
            left -= 1
            may_grow = False
        else:
            found.append(one)
            may_grow = True
    return found


def _lines(found: Mapping[str, Any]) -> tuple[str, int, tuple[tuple[int, int, str], ...]]:
    """Return the manifest's ETag, the byte at which a reference's lines begin, and their ranges."""
    if "lines" not in found:  # an earlier version wrote it
        return found["etag"], found["start"], tuple((stop, rows, digest) for stop, rows, digest in found["ranges"])
    etag, start, *ranges = found["lines"]
    return f'"{etag}"', start, tuple(zip(ranges[::3], ranges[1::3], ranges[2::3], strict=True))


def _what(run: ManifestRange) -> str:
    """Return what a batch copies: its key, the folder that its keys share, or the first and the last of them."""
    if run.objects == 1:
        return printable(run.first, MAX_LABEL)
    folder = run.shared[: run.shared.rfind("/") + 1]
    half = MAX_LABEL // 2
    return printable(folder, MAX_LABEL) or f"{printable(run.first, half)}{_TO}{printable(run.last, half)}"
