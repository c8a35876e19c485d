"""The demo's data: two buckets as departments of a company have them, and a dozen keys that break naive tools.

All bytes derive from the seed, so every demo copies the same ones. Only the part being uploaded is in memory.
"""

from __future__ import annotations

import gzip
import io
import math
import random
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal

from boto3.s3.transfer import TransferConfig

MIB = 1024 * 1024
PART_SIZE = 16 * MIB
"""Of the multipart uploads."""

EXPORTS = "acme-exports"
MEDIA = "acme-media"
BUCKETS = (EXPORTS, MEDIA)

_MEDIAN_SIZE = 20_000
_SMALLEST, _LARGEST = 400, 400_000

TEMPLATE_KEY = "odd/{{ conn.aws_default.password }}.txt"
"""A tool that renders it as a template would write a password into a blob's name."""
EMOJI_KEY = "odd/🚀 launch/日本語.txt"
DOUBLE_SLASH_KEY = "odd/a//b.txt"

LARGEST_KEY = "backups/warehouse-2026-11-21.dump"

_ODD_KEYS = (
    "odd/annual report 2026.txt",
    "odd/c++/a+b.txt",
    "odd/100%25 done.txt",
    EMOJI_KEY,
    DOUBLE_SLASH_KEY,
    "/odd/leading-slash.txt",
    TEMPLATE_KEY,
    "odd/\"double\" and 'single' quotes.txt",
    "odd/a=1&b=2?c#d.txt",
    "odd/caf\u00e9.txt",  # one character
    "odd/cafe\u0301.txt",  # two characters, displayed the same
    "odd/" + "long-name-" * 99 + "10.txt",  # 1,000 characters
    "odd/[red]brackets[/red] <b>tags<b>.txt",
)
_EMPTY_KEY = "odd/empty.txt"
_REFUSED_KEYS = ("logs/", "odd/ends-with-a-dot.", "odd/C:\\exports\\old.csv")


@dataclass(frozen=True, slots=True)
class SeedObject:
    """One object to put into a bucket.

    :param size: bytes; text and compressed files only come near it
    :param checksum: arguments of the checksum for boto3
    :param copied: False if Azure refuses the name, or the key is a folder placeholder
    """

    bucket: str
    key: str
    kind: Literal["csv.gz", "jsonl", "parquet", "text", "binary"]
    size: int
    content_type: str
    headers: dict[str, str] = field(default_factory=dict)
    metadata: dict[str, str] = field(default_factory=dict)
    checksum: dict[str, str] = field(default_factory=dict)
    copied: bool = True

    @property
    def is_large(self) -> bool:
        """Whether it is uploaded in parts."""
        return self.size > PART_SIZE


def all_objects(seed: int = 1) -> list[SeedObject]:
    """Return what both buckets hold, the large objects first."""
    chance = random.Random(seed)
    return [*_large_objects(), *_thumbnails(chance), *_odd_objects(), *_exports(chance)]


def pieces(item: SeedObject, seed: int = 1) -> Iterator[bytes]:
    """Yield an object's content, which depends on nothing but its key and the seed; all but the last have PART_SIZE."""
    chance = random.Random(f"{seed} {item.key}")
    if item.is_large:
        noise = _noise(seed)
        for number, start in enumerate(range(0, item.size, PART_SIZE)):
            part = b"%-64s%016d" % (item.key.encode()[:64], number) + noise[80:]
            yield part[: item.size - start]
    elif item.kind == "csv.gz":
        # Compresses to about 2 / 5.
        text = _table("order_id,customer,sku,quantity,price", _order_lines(seed), item.size * 5 // 2, chance)
        yield gzip.compress(text, compresslevel=1, mtime=0)
    elif item.kind == "jsonl":
        yield _table("", _event_lines(seed), item.size, chance)
    elif item.kind == "parquet":
        yield b"PAR1" + _slice(item.size - 8, seed, chance) + b"PAR1"
    elif item.kind == "text":
        yield f"This object's key is\n{item.key}\n".encode() if item.size else b""
    else:
        yield _slice(item.size, seed, chance)


def start_filling(client: Any, region: str, objects: Sequence[SeedObject], pool: Executor) -> list[Future[int]]:
    """Create the buckets and begin to upload; each future gives the bytes of one of `objects`, in their order."""
    for bucket in sorted({item.bucket for item in objects}):
        client.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": region})
    return [pool.submit(_upload, client, item) for item in objects]


def _upload(client: Any, item: SeedObject) -> int:
    arguments = {"ContentType": item.content_type, "Metadata": item.metadata, **item.headers, **item.checksum}
    if item.is_large:
        content = io.BufferedReader(_Pieces(pieces(item)), PART_SIZE)
        config = TransferConfig(multipart_threshold=PART_SIZE, multipart_chunksize=PART_SIZE, max_concurrency=2)
        client.upload_fileobj(content, item.bucket, item.key, ExtraArgs=arguments, Config=config)
        return item.size
    body = b"".join(pieces(item))
    client.put_object(Bucket=item.bucket, Key=item.key, Body=body, **arguments)
    return len(body)


class _Pieces(io.RawIOBase):
    """A stream over pieces, for upload_fileobj."""

    def __init__(self, source: Iterator[bytes]) -> None:
        self._source = source
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._rest:
            self._rest = memoryview(next(self._source, b""))
        size = min(len(buffer), len(self._rest))
        buffer[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size


def _large_objects() -> Iterator[SeedObject]:
    data, video = "application/octet-stream", "video/mp4"
    camera = {"camera": "store-01", "codec": "h264"}
    dump = {"Team-Name": "warehouse", "pg-version": "17.2"}
    # What S3 can hold of a multipart upload: a checksum of the whole, of either kind, or (boto3's default) one of the
    # parts' checksums.
    crc64 = {"ChecksumAlgorithm": "CRC64NVME"}
    crc32 = {"ChecksumAlgorithm": "CRC32", "ChecksumType": "FULL_OBJECT"}
    parts: dict[str, str] = {}
    for key, size, content_type, metadata, checksum in (
        (LARGEST_KEY, 96, data, dump, crc64),
        ("video/2026/11/21/store-01.mp4", 24, video, camera, crc32),
        ("video/2026/11/20/store-01.mp4", 20, video, camera, parts),
    ):
        headers = {"CacheControl": "private", "ContentDisposition": f'attachment; filename="{key.rpartition("/")[2]}"'}
        # Not a whole number of blocks.
        yield SeedObject(MEDIA, key, "binary", size * MIB + 12_345, content_type, headers, metadata, checksum)


def _thumbnails(chance: random.Random) -> Iterator[SeedObject]:
    for number in range(1, 25):
        key = f"thumbnails/store-01/{number:02d}.jpg"
        yield SeedObject(MEDIA, key, "binary", _size(chance), "image/jpeg", metadata={"width": "320", "height": "180"})


def _odd_objects() -> Iterator[SeedObject]:
    for key in _ODD_KEYS:
        yield SeedObject(EXPORTS, key, "text", 1, "text/plain; charset=utf-8", metadata={"note": 'a "quoted" = value;'})
    yield SeedObject(EXPORTS, _EMPTY_KEY, "text", 0, "text/plain")
    for key in _REFUSED_KEYS:
        yield SeedObject(EXPORTS, key, "text", int(not key.endswith("/")), "text/plain", copied=False)


def _exports(chance: random.Random) -> Iterator[SeedObject]:
    for day in (20, 21):
        folder = f"exports/2026/11/{day}"
        for number in range(1, 31):
            yield SeedObject(
                EXPORTS,
                f"{folder}/orders-{number:05d}.csv.gz",
                "csv.gz",
                _size(chance),
                "text/csv",
                headers={"ContentEncoding": "gzip"},
                metadata={"source-system": "erp", "schema": "orders.v3"},
            )
        for number in range(1, 31):
            key = f"{folder}/events-{number:05d}.jsonl"
            yield SeedObject(EXPORTS, key, "jsonl", _size(chance), "application/x-ndjson", metadata={"topic": "clicks"})
        for number in range(1, 21):
            key = f"{folder}/items-{number:05d}.parquet"
            yield SeedObject(EXPORTS, key, "parquet", _size(chance), "application/vnd.apache.parquet")


def _size(chance: random.Random) -> int:
    size = round(chance.lognormvariate(math.log(_MEDIAN_SIZE), 0.8))
    return max(_SMALLEST, min(size, _LARGEST))


@cache
def _noise(seed: int) -> bytes:
    return random.Random(seed).randbytes(PART_SIZE)


def _slice(size: int, seed: int, chance: random.Random) -> bytes:
    start = chance.randrange(PART_SIZE - size)
    return _noise(seed)[start : start + size]


def _table(header: str, lines: Sequence[str], size: int, chance: random.Random) -> bytes:
    count = max(1, size // len(lines[0]))
    start = chance.randrange(len(lines) - count)
    return "\n".join([*filter(None, [header]), *lines[start : start + count], ""]).encode()


@cache
def _order_lines(seed: int) -> tuple[str, ...]:
    chance = random.Random(f"{seed} orders")
    return tuple(
        f"{number},C{chance.randrange(10**5):05d},SKU-{chance.randrange(10**4):04d},{chance.randint(1, 9)},"
        f"{chance.randint(100, 99_999) / 100:.2f}"
        for number in range(10**6, 10**6 + 60_000)
    )


@cache
def _event_lines(seed: int) -> tuple[str, ...]:
    chance = random.Random(f"{seed} events")
    return tuple(
        f'{{"id":"{chance.getrandbits(64):016x}","user":{chance.randrange(10**6)},"page":"/p/{chance.randrange(999)}"}}'
        for _ in range(20_000)
    )
