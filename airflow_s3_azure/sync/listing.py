"""Lists source and destination as streams: the objects under an S3 prefix, the blobs under a name prefix.

Both listings are untrusted. A malformed page or an incomplete entry fails the plan: if it were left out, its key would be
in no ledger.
"""

from __future__ import annotations

from collections.abc import Iterator

from airflow_s3_azure.engine.azure.blob_names import RESERVED
from airflow_s3_azure.engine.azure.container import BlobContainer
from airflow_s3_azure.engine.azure.requests import API_VERSION
from airflow_s3_azure.engine.cancellation import Cancellation
from airflow_s3_azure.engine.errors import DestinationWriteError, SourceReadError, TransferError
from airflow_s3_azure.engine.retry import RetryPolicy
from airflow_s3_azure.engine.s3.bucket_names import is_directory_bucket
from airflow_s3_azure.engine.s3.source import S3Source
from airflow_s3_azure.sync.blob_page import BlobEntry, read_blobs
from airflow_s3_azure.sync.key_ranges import OrderedListing, Parallelism, RepeatedToken, ServiceOrder
from airflow_s3_azure.sync.listed_object import ListedObject
from airflow_s3_azure.sync.object_page import read_objects
from airflow_s3_azure.sync.page import MalformedPage, Page

OF_OBJECTS = Parallelism(listers=8, serial_pages=4, range_pages=16, max_pages=80)
"""Pages of 1,000 objects, some 0.4 MB each. At most five ranges are listed ahead, which is faster than a plan reads them. More would only
take memory: a plan of 300,000 unchanged keys peaks at 110 MiB (`make bench-plan`)."""
OF_BLOBS = Parallelism(listers=2, serial_pages=3, range_pages=3, max_pages=8)
"""Pages of 5,000 blobs, some 4 MB each."""
START_FROM_VERSION = "2026-02-06"
"""The first version of Azure's REST API that lists from a name on."""
_RECORDS = (f"{RESERVED}/", f"{RESERVED}/~")
"""The names between which the records of all syncs are: the IDs of DAGs sort before a tilde."""


def list_objects(
    source: S3Source,
    prefix: str = "",
    *,
    order: ServiceOrder | None = None,
    parallelism: Parallelism = OF_OBJECTS,
    retry: RetryPolicy | None = None,
    cancellation: Cancellation | None = None,
) -> Iterator[ListedObject]:
    """Yield the objects under a prefix, in the order of S3. A long listing is read in several ranges at once.

    Memory: see :class:`~airflow_s3_azure.sync.key_ranges.Parallelism`.

    :param order: of the service; set if a page shows that it is not the names' order
    :raises TransferError: if the bucket cannot be listed
    :raises OutOfOrder: if the listing was read in several ranges, and is not in the names' order
    """
    policy, cancellation = retry or RetryPolicy(), cancellation or Cancellation()

    def fetch(after: str, token: str | None) -> Page[ListedObject]:
        return page_of_objects(source, prefix, after, token, retry=policy, cancellation=cancellation)

    listing = OrderedListing(
        fetch,
        parallelism,
        prefix=prefix,
        endpoint="source",
        order=order or ServiceOrder(),
        cancellation=cancellation,
    )
    try:
        yield from listing
    except RepeatedToken:
        raise endless_listing(source, prefix) from None


def page_of_objects(
    source: S3Source, prefix: str, after: str, token: str | None, *, retry: RetryPolicy, cancellation: Cancellation
) -> Page[ListedObject]:
    """Return one page of the objects under a prefix.

    :param after: the page begins after this name; empty: at the first one
    :param token: of the page before, instead of ``after``
    :raises TransferError: if the bucket cannot be listed
    """
    # Directory buckets have no archive classes, and refuse the parameter.
    attributes = {} if is_directory_bucket(source.bucket) else {"OptionalObjectAttributes": ["RestoreStatus"]}
    start = {"ContinuationToken": token} if token else {"StartAfter": after} if after else {}
    params = {"Prefix": prefix, "EncodingType": "url", **attributes, **start}
    document = retry.call(lambda: source.list_page(params), cancellation)
    try:
        return read_objects(document)
    except MalformedPage as error:
        message = f"S3 sent a listing that cannot be read ({error})"
        raise SourceReadError(message, key=source.url(prefix)) from None


def endless_listing(source: S3Source, prefix: str) -> SourceReadError:
    """Return the error of a listing whose page has the token of the page before."""
    message = "S3 sent a listing that does not end: a page has the token of the page before"
    return SourceReadError(message, key=source.url(prefix))


def list_blobs(
    container: BlobContainer,
    prefix: str = "",
    *,
    order: ServiceOrder | None = None,
    parallelism: Parallelism = OF_BLOBS,
    retry: RetryPolicy | None = None,
    cancellation: Cancellation | None = None,
    with_directories: bool = False,
) -> Iterator[BlobEntry]:
    """Yield the name and state of each committed blob under a prefix, with the record of its source.

    The records of syncs are left out where the service lists from a name on: a container holds those of all earlier runs.

    :param with_directories: also yield the directories of an account with a hierarchical namespace, which it lists as blobs
    :raises TransferError: if the container cannot be listed
    :raises OutOfOrder: as :func:`list_objects`
    """
    policy, cancellation = retry or RetryPolicy(), cancellation or Cancellation()
    where = f"{container.url}/{prefix}"

    def fetch(after: str, token: str | None) -> Page[BlobEntry]:
        optional = {"prefix": prefix, "startFrom": "" if token else after, "marker": token}
        query = {"include": "metadata", **{name: value for name, value in optional.items() if value}}
        # The marker of a range is of the version that began it.
        version = START_FROM_VERSION if after else API_VERSION
        try:
            document = policy.call(lambda: container.list_page(query, version), cancellation)
        except TransferError as error:
            error.message, error.blob = f"the container could not be listed: {error.message}", where
            raise
        try:
            return read_blobs(document, with_directories=with_directories)
        except MalformedPage as error:
            raise DestinationWriteError(f"Azure sent a listing that cannot be read ({error})", blob=where) from None

    listing = OrderedListing(
        fetch,
        parallelism,
        prefix=prefix,
        endpoint="destination",
        order=order or ServiceOrder(),
        cancellation=cancellation,
        skip=_RECORDS if RESERVED.startswith(prefix) else None,
    )
    try:
        yield from listing
    except RepeatedToken:
        message = "Azure sent a listing that does not end: a page has the marker of the page before"
        raise DestinationWriteError(message, blob=where) from None
