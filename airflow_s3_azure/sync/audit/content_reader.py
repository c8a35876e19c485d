"""Reads blobs back in parallel ranges, and compares the CRC-64 of their content with the recorded one.

Theory of operation: results arrive, ranges are requested, and results are yielded in one order, that of the names. A window of
ranges is in flight or read already; the oldest one decides what comes next. A range is read piece by piece into its CRC, so
the window holds no content, and its ranges may be large. The CRCs of a blob's ranges combine to that of the blob.

In this order an audit can be continued after its last name, and a large blob after the last range that was combined.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace

from airflow_s3_azure.engine.azure.container import BlobContainer
from airflow_s3_azure.engine.azure.service_errors import PreconditionFailed
from airflow_s3_azure.engine.bandwidth import Bandwidth
from airflow_s3_azure.engine.blocks import MIB
from airflow_s3_azure.engine.cancellation import Cancellation
from airflow_s3_azure.engine.checksums import BlockChecksums, combine, s3_text
from airflow_s3_azure.engine.errors import Cancelled, DestinationAccessDenied, SliceEnded, TransferError
from airflow_s3_azure.engine.model import BlobState
from airflow_s3_azure.engine.retry import RetryPolicy
from airflow_s3_azure.sync.audit.findings import AuditedBlob

RANGE_SIZE = 32 * MIB
"""Bytes of one request."""
WINDOW = 64
"""Ranges in the window per thread: small blobs are read while a large range before them is."""
POLL_SECONDS = 0.5
"""Interval in which a wait for a range checks the cancellation."""

NO_CRC64 = "no CRC-64 is recorded: an earlier version, or another tool, wrote the blob"


@dataclass(frozen=True, slots=True)
class Partial:
    """A blob of which the first ranges were read.

    :param etag: of the version that was read
    :param crc64: of the bytes before ``position``
    """

    blob: str
    etag: str
    crc64: int
    position: int


@dataclass(slots=True)
class _Reading:
    """A blob that is being read.

    :param crc64: of the bytes before ``position``
    :param is_over: whether its other ranges need not be read
    """

    result: AuditedBlob
    found: BlobState
    crc64: int = 0
    position: int = 0
    bytes_read: int = 0
    is_over: bool = False


@dataclass(frozen=True, slots=True)
class _Step:
    """A range of a blob, or a result that needs no reading (without a future)."""

    result: AuditedBlob
    reading: _Reading | None = None
    stop: int = 0
    crc64: Future[int] | None = None


class ContentReader:
    """Reads the content of blobs.

    :param max_concurrency: ranges that are read at the same time
    :param bandwidth: limits the reads; None: no limit
    :param resumed: the blob that an earlier execution began to read; None: there is none
    """

    def __init__(
        self,
        container: BlobContainer,
        cancellation: Cancellation,
        *,
        max_concurrency: int,
        bandwidth: Bandwidth | None = None,
        resumed: Partial | None = None,
        retry: RetryPolicy | None = None,
        range_size: int = RANGE_SIZE,
    ) -> None:
        self._container = container
        self._cancellation = cancellation
        self._max_concurrency = max_concurrency
        self._bandwidth = bandwidth
        self._resumed = resumed
        self._unread = resumed
        self._retry = retry or RetryPolicy()
        self._range_size = range_size
        self._is_stopped = False
        self._partial: _Reading | None = None

    @property
    def partial(self) -> Partial | None:
        """The blob of which the first ranges are read, but not all; the one after the last result."""
        reading = self._partial
        if reading is None:
            return self._unread
        return Partial(reading.result.blob, reading.found.etag, reading.crc64, reading.position)

    def read(
        self, results: Iterable[AuditedBlob], is_chosen: Callable[[str], bool], is_over: Callable[[], bool]
    ) -> Generator[AuditedBlob, None, None]:
        """Yield the results in their order. Those that are intact and chosen are first compared with their content.

        :param is_chosen: whether the content of a blob is to be read, by its name
        :param is_over: whether the execution is to end; called after each range
        :raises SliceEnded: if ``is_over``
        :raises TransferError: if a blob cannot be read now, but perhaps later
        """
        window: deque[_Step] = deque()
        pool = ThreadPoolExecutor(self._max_concurrency, thread_name_prefix="s3-to-azure-audit")
        steps = self._steps(results, is_chosen, pool)
        is_whole = False
        try:
            while step := self._next(window, steps):
                result = self._advance(step)
                self._unread = None
                if result is not None:
                    yield result
                if step.reading is not None and is_over():
                    raise SliceEnded("the slice ended before all blobs were read; the next one continues")
            is_whole = True
        finally:
            self._is_stopped = True
            if not is_whole and self._cancellation.is_set():
                self._cancellation.abort()
            pool.shutdown(wait=not self._cancellation.is_set(), cancel_futures=True)

    def _next(self, window: deque[_Step], steps: Iterator[_Step]) -> _Step | None:
        """Return the oldest step, after the window was filled; None at the end."""
        while len(window) < WINDOW * self._max_concurrency and (step := next(steps, None)) is not None:
            window.append(step)
        return window.popleft() if window else None

    def _steps(
        self, results: Iterable[AuditedBlob], is_chosen: Callable[[str], bool], pool: ThreadPoolExecutor
    ) -> Iterator[_Step]:
        """Yield the results, those to be read as their ranges. A range is requested when it is yielded."""
        for result in results:
            found = result.found
            if result.status != "intact" or found is None or not is_chosen(result.blob):
                yield _Step(result)
            elif _expected_crc64(result) is None:
                yield _Step(replace(result, status="unknown", reason=NO_CRC64))
            else:
                yield from self._ranges(self._begun(result, found), pool)

    def _begun(self, result: AuditedBlob, found: BlobState) -> _Reading:
        """Return the reading of a blob: the one that an earlier execution began, if it was of this version."""
        resumed = self._resumed
        if resumed is None or (resumed.blob, resumed.etag) != (result.blob, found.etag):
            return _Reading(result, found)
        return _Reading(result, found, resumed.crc64, resumed.position, resumed.position)

    def _ranges(self, reading: _Reading, pool: ThreadPoolExecutor) -> Iterator[_Step]:
        size = reading.found.size
        if reading.position == size:  # also of an empty blob
            yield _Step(self._compared(reading))
            return
        for start in range(reading.position, size, self._range_size):
            if reading.is_over:
                return
            stop = min(start + self._range_size, size)
            yield _Step(reading.result, reading, stop, pool.submit(self._crc64, reading, start, stop))

    def _crc64(self, reading: _Reading, start: int, stop: int) -> int:
        """Read a range; in a thread of the pool."""
        if reading.is_over:
            return 0
        blob, etag = reading.result.blob, reading.found.etag
        return self._retry.call(
            lambda: self._container.crc64(blob, start, stop, etag, self._on_bytes), self._cancellation
        )

    def _on_bytes(self, size: int) -> None:
        if self._is_stopped:
            raise Cancelled("the audit was stopped")
        if self._bandwidth is not None:
            self._bandwidth.spend(size)

    def _advance(self, step: _Step) -> AuditedBlob | None:
        """Wait for a step; return the result of its blob if it was the last one."""
        reading = step.reading
        if reading is None or step.crc64 is None:
            return step.result
        if reading.is_over:
            return None
        try:
            crc64 = self._wait(step.crc64)
        except TransferError as error:
            reading.is_over = True
            result = self._unreadable(reading, error)
            self._partial = None
            return result
        read = [
            BlockChecksums(reading.position, reading.crc64),
            BlockChecksums(step.stop - reading.position, crc64),
        ]
        reading.crc64 = combine("CRC64NVME", read)
        reading.bytes_read += step.stop - reading.position
        reading.position = step.stop
        if reading.position < reading.found.size:
            self._partial = reading
            return None
        self._partial = None
        return self._compared(reading)

    def _wait(self, future: Future[int]) -> int:
        while True:
            try:
                return future.result(POLL_SECONDS)
            except TimeoutError:
                # A signal handler cannot wake this wait.
                self._cancellation.check()

    def _compared(self, reading: _Reading) -> AuditedBlob:
        text = s3_text("CRC64NVME", reading.crc64)
        if text == _expected_crc64(reading.result):
            return reading.result.ended("intact", None, text, reading.bytes_read)
        return reading.result.ended("changed", "its content has another CRC-64", text, reading.bytes_read)

    def _unreadable(self, reading: _Reading, error: TransferError) -> AuditedBlob:
        """Return the result of a blob that cannot be read.

        :raises TransferError: if a later try may read it, or the connection may read no blob
        """
        result, size = reading.result, reading.bytes_read
        if isinstance(error, PreconditionFailed):
            if self._retry.call(lambda: self._container.head(result.blob), self._cancellation) is None:
                return result.ended("missing", "it was deleted while the audit ran", None, size)
            return result.ended("changed", "it was written again while the audit ran", None, size)
        if error.retryable or isinstance(error, DestinationAccessDenied):
            raise error
        return result.ended("unknown", f"it cannot be read: {error.message}", None, size)


def _expected_crc64(result: AuditedBlob) -> str | None:
    """Return the CRC-64 that the content must have: the ledger's, else that of the blob's record."""
    record = result.found.record if result.found else None
    return result.expected.crc64nvme or (record.crc64nvme if record else None)
