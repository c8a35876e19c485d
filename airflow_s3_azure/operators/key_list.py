"""The argument ``keys``: how it is read and checked, and how its list is opened."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_s3_azure.engine.errors import ConfigurationError
from airflow_s3_azure.engine.progress import duration_text
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
        value = [line.strip() for line in found.split("\n") if line.strip()]
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


@dataclass(frozen=True, slots=True)
class KeyList:
    """A list of keys.

    :param entries: starts to read it
    :param url: of its file; None: it was passed as a value
    :param created_at: of an inventory, when it was made; objects written later are not in it
    """

    entries: Callable[[], Iterator[KeyEntry]]
    url: str | None = None
    created_at: datetime | None = None

    def listings(
        self,
        options: PlanOptions,
        folder: PlanFolder,
        *,
        bucket: S3Bucket,
        container: AzureContainer,
        cancellation: Cancellation,
        threads: int,
    ) -> tuple[tuple[Listing[ListedObject], Listing[tuple[str, BlobState]]], PlanOptions]:
        """Return the listings of source and destination, and the options of their plan.

        :param threads: requests at a time
        """
        from airflow_s3_azure.guardrails import Guardrails
        from airflow_s3_azure.sync.keys.key_listings import KeyListings
        from airflow_s3_azure.sync.select import Selection

        found = KeyListings(
            self.entries,
            options,
            folder,
            source=bucket.source,
            container=container.blobs,
            cancellation=cancellation,
            threads=threads,
            # The sizes of a list could be made up to stay below an administrator's limit.
            trusts_list=Guardrails.configured().max_bytes_per_run is None,
        )
        # They have the selected objects only, and keys without an object, which are reported.
        return found.listings(), replace(options, selection=Selection())

    def as_json(self) -> dict[str, str | None]:
        """Return where the list is, and when it was made, for XCom."""
        return {"url": self.url, "created_at": self.created_at.isoformat() if self.created_at else None}


def age_text(key_list: Mapping[str, str | None] | None, until: datetime) -> str | None:
    """Return how old the inventory of a plan was at a time; None if it was made from no inventory.

    :param key_list: of the plan, as XCom holds it
    """
    created = key_list["created_at"] if key_list else None
    if key_list is None or created is None:
        return None
    age = until - datetime.fromisoformat(created)
    return (
        f"the inventory {key_list['url']} is of {created}, {duration_text(age.total_seconds())} before the plan: objects that were "
        "written since are not in it"
    )


def open_key_list(
    keys: str | Sequence[KeyEntry],
    endpoints: Endpoints,
    bucket: S3Bucket,
    container: AzureContainer,
    cancellation: Cancellation,
) -> KeyList:
    """Return the list of keys of an argument: its value, or the file of its URL.

    :raises ConfigurationError: if the URL is none of a list
    :raises PlanError: if it is an inventory's, and not valid
    """
    from airflow_s3_azure.connections.key_files import file_beside, open_key_file
    from airflow_s3_azure.sync.keys.inventory import MANIFEST, read_inventory
    from airflow_s3_azure.sync.keys.key_lines import read_key_lines
    from airflow_s3_azure.sync.keys.stored_files import S3File

    if not isinstance(keys, str):
        log.info("copying the keys of a list of %s entries", f"{len(keys):,}")
        return KeyList(lambda: iter(keys))
    file = open_key_file(keys, endpoints, bucket, container, cancellation)
    log.info("copying the keys of %s", file.url)
    if file.name.rpartition("/")[2] != MANIFEST:
        return KeyList(lambda: read_key_lines(file.pieces(), file.name, file.url), file.url)
    if not isinstance(file, S3File):
        raise ConfigurationError(f"keys is {file.url!r}; an inventory is read from the bucket in which S3 writes it")
    manifest = file
    inventory = read_inventory(manifest, bucket.name, manifest.bucket)
    found = KeyList(
        lambda: inventory.entries(lambda key: file_beside(manifest, key)), manifest.url, inventory.created_at
    )
    log.info("%s", age_text(found.as_json(), datetime.now(UTC)))
    return found
