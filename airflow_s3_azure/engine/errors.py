"""The tree of errors that a copy can end in.

::

    S3ToAzureError
    ├─ ConfigurationError          wrong arguments, missing connection, impossible sizes
    ├─ PlanError                   names Azure refuses, two keys for one blob, too many keys
    ├─ Cancelled                   the copy was stopped; staged blocks stay for the next try
    ├─ SliceEnded                  the time of this slice is over; the next slice resumes
    ├─ BatchFailed                 some objects of a batch could not be copied; the others were
    │  └─ BatchChanged             because they changed since the plan: the next try copies the new versions
    ├─ AuditFailed                 blobs are not what is recorded of them, or are missing
    ├─ PreflightFailed             the two accounts do not do what a copy needs
    └─ TransferError               one key could not be copied to one blob
       ├─ SourceNotFound · SourceArchived · SourceAccessDenied
       ├─ SourceChanged            ETag or size changed during the copy
       ├─ SourceReadError          after the range's own retries
       ├─ SourceUnreachable        Azure cannot read it (mode="server_side")
       ├─ DestinationAccessDenied · DestinationConflict
       ├─ DestinationWriteError    after the block's own retries
       ├─ IntegrityError           checksums differ: nothing was committed
       └─ UntrustedFile            a manifest, deletion list or ledger is not what was written

The errors carry no request URL and are raised without a cause: the exceptions of the HTTP libraries quote the URL
they failed on, and a presigned URL or a SAS is a credential.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from airflow_s3_azure.engine.quoting import printable, printable_error, printable_lines

MAX_FIRST_LINE = 200
"""Characters of an error's first line: what a list of failed tasks shows."""
NEXT_LINE = "\n  "
RUNBOOK = "https://airflow-s3-azure.github.io/airflow-s3-azure/operations/runbook.html"
"""The page with an entry for each class of error."""


class S3ToAzureError(Exception):
    """Anything this package raises on purpose."""

    retryable: bool = False
    """Whether a later try of the same task may succeed."""

    def __str__(self) -> str:
        # A message may quote names, keys and servers. Its own lines stay lines.
        return self._with_short_first_line(printable_lines(super().__str__()))

    def _with_short_first_line(self, text: str) -> str:
        return short_first_line(text, self._first_line_limit())

    def _first_line_limit(self) -> int:
        # Airflow shows the class before the text.
        return MAX_FIRST_LINE - len(f"{type(self).__name__}: ")


class ConfigurationError(S3ToAzureError):
    """An argument, a connection or a size with which no try can succeed."""


class PlanError(S3ToAzureError):
    """A plan that must not be executed as it is."""


class Cancelled(S3ToAzureError):
    """The copy was stopped before it was done. Staged blocks stay staged."""

    retryable = True


class SliceEnded(S3ToAzureError):
    """The time of this slice ended before everything was copied. Staged blocks stay staged for the next slice."""

    retryable = True


class BatchFailed(S3ToAzureError):
    """Some objects of a batch could not be copied; all others were.

    :param objects: how many the batch has
    :param failed: how many of them failed
    :param errors: the texts of the first of these
    """

    def __init__(self, objects: int, failed: int, errors: Sequence[str], *, retryable: bool) -> None:
        lines = [f"{failed:,} of {objects:,} objects could not be copied:"]
        lines += [f"  {printable_error(error)}" for error in errors]
        if failed > len(errors):
            lines.append(f"  … and {failed - len(errors):,} more, in the ledger")
        super().__init__("\n".join(lines))
        self.retryable = retryable


class BatchChanged(BatchFailed):
    """The retryable failures of a batch are all objects that changed since the plan. A retry copies the new versions."""


class AuditFailed(S3ToAzureError):
    """Blobs of a container are not what its ledgers, or the records on them, say; or are missing. A retry finds the same."""


class PreflightFailed(S3ToAzureError):
    """Checks of a preflight are red: copies between the two endpoints would fail. A retry finds the same."""


class TransferError(S3ToAzureError):
    """One object could not be copied.

    :param message: what failed, what was expected and found, and what to do
    :param key: the object, as ``s3://bucket/key``; None: the copy fills it in
    :param blob: the blob's URL without credentials; None: the copy fills it in
    :param transient: whether the request that failed may succeed within seconds
    :param retry_after: seconds to wait before the next request, from the server's Retry-After; None: it sent none
    :param retryable: overrides the default of the class
    :param attempts: requests in all after which to give up, if fewer than usual make sense
    :param throttled: whether the server throttles: it may take minutes until it accepts more
    :param request_id: the service's IDs of the failed request, which its support needs
    """

    def __init__(
        self,
        message: str,
        *,
        key: str | None = None,
        blob: str | None = None,
        transient: bool = False,
        retry_after: float | None = None,
        attempts: int | None = None,
        throttled: bool = False,
        retryable: bool | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.key = key
        self.blob = blob
        self.transient = transient
        self.retry_after = retry_after
        self.attempts = attempts
        self.throttled = throttled
        self.request_id = request_id
        if retryable is not None:
            self.retryable = retryable

    def __str__(self) -> str:
        # A key is one line, whatever is in it.
        where = " -> ".join(repr(name) for name in (self.key, self.blob) if name is not None)
        details = "; ".join([*[where] * bool(where), *[f"request {self.request_id}"] * bool(self.request_id)])
        message = printable_lines(self.message)
        if not details:
            return self._with_short_first_line(message)
        # The cause first: names may be a thousand characters long.
        details = f"({printable(details)})"
        fits = len(message) + 1 + len(details) <= self._first_line_limit()
        return f"{self._with_short_first_line(message)}{' ' if fits else NEXT_LINE}{details}"


class SourceNotFound(TransferError):
    """The bucket, the key or the version does not exist.

    :param bucket_exists: whether S3 reported that the key or the version is missing, and not the bucket
    """

    def __init__(self, message: str, *, bucket_exists: bool = False, **options: Any) -> None:
        super().__init__(message, **options)
        self.bucket_exists = bucket_exists


ARCHIVED = "it is archived; restore it in S3 first, or set archived='skip' or archived='restore'"


class SourceArchived(TransferError):
    """The object is in an archive tier and must be restored before it can be read."""


class SourceAccessDenied(TransferError):
    """S3 refused the credentials for this object."""


class SourceChanged(TransferError):
    """The object is no longer the version that was planned. A new try plans it again."""

    retryable = True


class SourceReadError(TransferError):
    """S3 could not be read. A new try resumes."""

    retryable = True


class SourceUnreachable(TransferError):
    """Azure cannot read the object from S3, though the worker can."""


class DestinationAccessDenied(TransferError):
    """Azure refused the credentials for this blob."""


class DestinationConflict(TransferError):
    """The blob is leased, immutable, or was changed by someone else since the plan."""


class DestinationWriteError(TransferError):
    """Azure could not be written to. A new try resumes."""

    retryable = True


class IntegrityError(TransferError):
    """The checksums of what was read and of what S3 stored differ. Nothing was committed."""

    retryable = True


class UntrustedFile(TransferError):
    """A manifest, deletion list or ledger is not what this package wrote: someone else wrote to it. Nothing in it is used."""


def short_first_line(text: str, limit: int = MAX_FIRST_LINE) -> str:
    """Return an error's text with a first line of at most ``limit`` characters, and the rest below it.

    It is broken at the end of a clause, if there is one.
    """
    first, newline, rest = text.partition("\n")
    if len(first) <= limit:
        return text
    clauses = [one.start() + 1 for one in re.finditer("[;.:](?= )| (?=\\()", first[:limit])]
    late = [end for end in clauses if end > limit // 3]
    end = late[-1] if late else first.rfind(" ", 0, limit) if " " in first[:limit] else limit
    return f"{first[:end].rstrip()}{NEXT_LINE}{first[end:].lstrip()}{newline}{rest}"


def class_name(error: S3ToAzureError) -> str:
    """Return the name of an error's class under which the runbook has it."""
    return _public_class(error).__name__


def runbook_url(error: S3ToAzureError) -> str:
    """Return the URL of the entry for an error: that of its class, or of the nearest base that has one."""
    return f"{RUNBOOK}#{class_name(error).lower()}"


def _public_class(error: S3ToAzureError) -> type:
    """Return the class of an error, or of another module's class the nearest base in this one."""
    return next(one for one in type(error).__mro__ if one.__module__ == __name__)


def error_as_json(error: S3ToAzureError) -> dict[str, Any]:
    """Return an error as JSON values, for another process."""
    fields = {"type": class_name(error), "message": str(error), "retryable": error.retryable}
    if isinstance(error, TransferError):
        fields |= {"message": error.message, "key": error.key, "blob": error.blob, "request_id": error.request_id}
    return fields


def error_from_json(fields: Mapping[str, Any]) -> S3ToAzureError:
    """Return the error of :func:`error_as_json`. A class of another module becomes its nearest base in this one."""
    kind = _KINDS[fields["type"]]
    if issubclass(kind, TransferError):
        return kind(
            fields["message"],
            key=fields["key"],
            blob=fields["blob"],
            retryable=fields["retryable"],
            request_id=fields.get("request_id"),  # an error of an earlier version has none
        )
    error = kind.__new__(kind, fields["message"])  # without __init__, which may take other arguments
    error.retryable = fields["retryable"]
    return error


_KINDS: dict[str, type[S3ToAzureError]] = {
    name: kind for name, kind in globals().items() if isinstance(kind, type) and issubclass(kind, S3ToAzureError)
}
