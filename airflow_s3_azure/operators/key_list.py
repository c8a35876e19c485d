"""The argument ``keys``: how it is read and checked, and the listings of a plan that it makes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_s3_azure.engine.errors import ConfigurationError
from airflow_s3_azure.engine.quoting import get_logger, quote_text
from airflow_s3_azure.sync.keys.key_entry import KeyEntry, entry_of

if TYPE_CHECKING:
    from airflow_s3_azure.connections import AzureContainer, S3Bucket
    from airflow_s3_azure.endpoints import Endpoints
    from airflow_s3_azure.engine.cancellation import Cancellation
    from airflow_s3_azure.engine.model import BlobState
    from airflow_s3_azure.sync.ledger import PlanFolder
    from airflow_s3_azure.sync.listed_object import ListedObject
    from airflow_s3_azure.sync.plan_model import Listing, PlanOptions

log = get_logger(__name__)

_URL = re.compile("(?:s3[an]?|https?)://", re.IGNORECASE)


def key_list(name: str, value: Any) -> str | list[KeyEntry]:
    """Return the URL of a list of keys, the entries of a list, or the empty text: no list is given.

    Text of one line that is a URL is that of a file; other text has one key on each line.

    :raises ConfigurationError: if an entry is not valid, or the value is None: then the task before returned no list
    """
    if isinstance(value, str):
        found = value.strip()
        is_url = _URL.match(found) is not None
        if not found or (is_url and "\n" not in found):
            return found
        if is_url or found == "None" or (found.startswith("[") and found.endswith("]")):
            raise ConfigurationError(
                f"{name} is the text {quote_text(found, 80)!r}; it takes one URL, or one key on each line{_not_joined(name, found)}"
            )
        value = [line.strip() for line in found.splitlines() if line.strip()]
    if value is None or isinstance(value, Mapping) or not isinstance(value, Iterable):
        raise ConfigurationError(
            f"{name} is {quote_text(repr(value), 80)}; it takes a list of keys, or the URL of one. Without a list, leave it out"
        )
    entries = []
    for number, one in enumerate(value):
        try:
            entries.append(one if isinstance(one, KeyEntry) else entry_of(one))
        except ValueError as error:
            raise ConfigurationError(f"entry {number:,} of {name} is not valid: {error}") from None
    return entries


def _not_joined(name: str, text: str) -> str:
    return f"; a list in a template is joined: {{{{ params.s3_{name} | join('\\n') }}}}" if text.startswith("[") else ""


def check_key_list(keys: Any, *, delete: str | None = None, has_several_prefixes: bool = False) -> None:
    """Check the arguments beside a list of keys.

    :param keys: as it was passed; empty text: there is no list
    :raises ConfigurationError: if they exclude a list
    """
    if isinstance(keys, str) and not keys.strip():
        return
    if delete:
        raise ConfigurationError(
            "keys and delete='extra' are both given, but a list does not tell which keys are gone; leave one of them out"
        )
    if has_several_prefixes:
        raise ConfigurationError(
            "keys and several prefixes are both given; a list of keys takes one s3_prefix, or none"
        )


def key_listings(
    keys: str | Sequence[KeyEntry],
    options: PlanOptions,
    folder: PlanFolder,
    *,
    endpoints: Endpoints,
    bucket: S3Bucket,
    container: AzureContainer,
    cancellation: Cancellation,
    threads: int,
) -> tuple[Listing[ListedObject], Listing[tuple[str, BlobState]]]:
    """Return the listings of source and destination from a list of keys, or from the URL of one.

    :param threads: requests at a time
    """
    from airflow_s3_azure.connections.key_files import open_key_file
    from airflow_s3_azure.sync.keys.key_lines import read_key_lines
    from airflow_s3_azure.sync.keys.key_listings import KeyListings

    if isinstance(keys, str):
        file = open_key_file(keys, endpoints, bucket, container, cancellation)
        log.info("copying the keys of %s", file.url)

        def entries() -> Iterator[KeyEntry]:
            return read_key_lines(file.pieces(), file.name, file.url)
    else:
        log.info("copying the keys of a list of %s entries", f"{len(keys):,}")

        def entries() -> Iterator[KeyEntry]:
            return iter(keys)

    return KeyListings(
        entries,
        options,
        folder,
        source=bucket.source,
        container=container.blobs,
        cancellation=cancellation,
        threads=threads,
    ).listings()
