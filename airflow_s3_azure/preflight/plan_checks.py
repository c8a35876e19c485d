"""The cheap checks of a plan. They use the responses that a plan gets anyway, and at most four requests of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from airflow_s3_azure.engine.azure.container import BlobContainer
from airflow_s3_azure.engine.blocks import Block
from airflow_s3_azure.engine.errors import (
    DestinationAccessDenied,
    PreflightFailed,
    SourceAccessDenied,
    TransferError,
)
from airflow_s3_azure.engine.model import SourceObject
from airflow_s3_azure.engine.quoting import get_logger
from airflow_s3_azure.engine.s3.source import S3Source
from airflow_s3_azure.preflight.connection_checks import clock
from airflow_s3_azure.preflight.destination_checks import ACCOUNT, is_hierarchical
from airflow_s3_azure.preflight.finding import Permission
from airflow_s3_azure.preflight.subject import Exchanges
from airflow_s3_azure.sync.listed_object import ListedObject

log = get_logger(__name__)

SAMPLED = 3
"""Objects of which none may be read before the plan fails: a single one that is denied is a row of the ledger."""
_DISABLE = "set preflight=False to plan without this check"


class PlanChecks:
    """Checks the clock, the kind of the account, and the permission to read.

    :param is_enabled: False: nothing is checked
    :ivar s3: observes the requests to S3
    :ivar azure: observes the requests to Azure
    """

    def __init__(self, *, is_enabled: bool = True) -> None:
        self._is_enabled = is_enabled
        self.s3 = Exchanges()
        self.azure = Exchanges()
        self._sample: list[ListedObject] = []

    def check_account(self, blobs: BlobContainer, *, copy_tags: bool) -> None:
        """Check that the account can hold blob index tags, if they are to be copied. One request then, else none.

        :raises PreflightFailed: if it has a hierarchical namespace
        """
        if not copy_tags or not self._is_enabled:
            return
        try:
            found = blobs.properties(ACCOUNT)
        except DestinationAccessDenied:
            log.debug("the account's kind may not be read")
            return
        if is_hierarchical(found.get("x-ms-is-hns-enabled")):
            raise PreflightFailed(
                "copy_tags is True, but the account has a hierarchical namespace, which holds no blob index tags: every "
                f"object with tags would fail; leave copy_tags out, or {_DISABLE}"
            )

    def sampled(
        self, listed: Iterator[ListedObject], selects: Callable[[ListedObject], bool]
    ) -> Iterator[ListedObject]:
        """Yield a listing, and keep the first objects of it that are selected and have content."""
        self._sample = []
        for one in listed:
            if self._is_enabled and one.size and selects(one):
                self._sample.append(one)
            yield one
            if len(self._sample) == SAMPLED or not self._is_enabled:
                break
        yield from listed

    def check_read(self, source: S3Source, prefix: str, *, copies: int) -> None:
        """Check that one of the sampled objects may be read: its first byte. One request if the first of them may.

        :param copies: objects that the plan copies; none: nothing is checked
        :raises PreflightFailed: if none of several may be read
        """
        denied: list[SourceAccessDenied] = []
        for one in self._sample if copies else ():
            try:
                found = SourceObject(one.key, one.size, one.etag)
                source.read(found, Block(0, 0, 1), memoryview(bytearray(1)), lambda _: None)
            except SourceAccessDenied as error:
                denied.append(error)
            except TransferError as error:  # archived, or changed since: the copy handles it
                log.debug("%r was not read: %s", one.key, error)
                return
            else:
                return
        if len(denied) == SAMPLED:
            line = Permission("s3:GetObject").policy_line(source.bucket, prefix)
            raise PreflightFailed(
                f"none of the first {SAMPLED} objects may be read, so no copy can succeed: {denied[0]}\n"
                f"  policy: {line}\n  if only these must not be read, {_DISABLE}"
            )

    def log_clocks(self) -> None:
        """Log a warning for a clock that differs from that of S3 or Azure. No request."""
        for exchanges, service in ((self.s3, "S3"), (self.azure, "Azure")):
            if self._is_enabled and exchanges.clock_difference is not None:
                finding = clock(exchanges, service)
                if finding.status != "green":
                    log.warning("%s: synchronize it (NTP)", finding.detail)
