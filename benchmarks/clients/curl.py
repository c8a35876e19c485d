"""The command lines of curl, a floor in C: one process reads the objects, another writes as many bytes, at the same time.

It is no client. Nothing is passed from one to the other, signed or checked, and each has one connection.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from pathlib import Path

from benchmarks.job import Job
from tests.servers.debian import program

_OPTIONS = ("fail-early", "fail", "silent", "show-error", "tlsv1.3")
_WRITE = ("header = Expect:", "header = x-ms-blob-type: BlockBlob")
"""Without an Expect, curl does not wait for the server before it sends a large body."""


def commands(job: Job, folder: Path) -> list[list[str]]:
    """Return the command that reads the objects of a job, and the one that writes its blobs.

    :param folder: an empty one; it gets a configuration file for each command, and the files to send
    """
    reads = (("output = /dev/null", f"url = {job.source}/{job.bucket}/{key}") for key in job.keys)
    writes = ((f"upload-file = {path}", f"url = {url}") for path, url in _bodies(job, folder))
    return [
        _command(folder / "reads", (line for one in reads for line in one)),
        _command(folder / "writes", (*_WRITE, *(line for one in writes for line in one))),
    ]


def empty_command() -> list[str]:
    """Return a command that copies nothing."""
    return [str(program("curl")), "--version"]


def _bodies(job: Job, folder: Path) -> Iterable[tuple[Path, str]]:
    """Yield each file to send, and its URL: blobs of one block, or blocks and then their list."""
    starts = range(0, job.size, job.block_size)
    ids = [base64.b64encode(b"%012d" % start).decode() for start in starts]
    sizes = [min(job.block_size, job.size - start) for start in starts]
    files = {size: folder / f"{size}-bytes" for size in sizes}
    for size, path in files.items():
        path.write_bytes(bytes(size))
    block_list = folder / "block-list"
    block_list.write_text(f"<BlockList>{''.join(f'<Latest>{one}</Latest>' for one in ids)}</BlockList>")
    for key in job.keys:
        url = f"{job.sink}/{job.container}/{key}"
        if len(ids) == 1:
            yield files[job.size], url
            continue
        for block_id, size in zip(ids, sizes, strict=True):
            yield files[size], f"{url}?comp=block&blockid={block_id}"
        yield block_list, f"{url}?comp=blocklist"


def _command(path: Path, lines: Iterable[str]) -> list[str]:
    path.write_text("\n".join((*_OPTIONS, *lines, "")))
    return [str(program("curl")), "--disable", "--config", str(path)]
