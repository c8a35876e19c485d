"""Reads the events of S3 from the messages of a queue. Pure.

S3 sends them directly, through an SNS topic, or through EventBridge:
https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html and ``ev-events.html``. Events are
hints: S3 delivers them at least once and in any order. Messages are untrusted: one that cannot be read is counted, and
hides no other.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any, Literal
from urllib.parse import unquote_plus

from airflow_s3_azure.engine.quoting import quote_text
from airflow_s3_azure.sync.keys.key_entry import KeyEntry, entry_of

Kind = Literal["created", "deletions", "tests", "ignored", "malformed"]
"""What an event is. A restored object counts as ``created``, because it can be read now; ``ignored`` are the events of other
buckets and of other kinds, such as tags."""

_CREATED = ("ObjectCreated:", "ObjectRestore:Completed", "Object Created", "Object Restore Completed")
_DELETED = ("ObjectRemoved:", "LifecycleExpiration:", "Object Deleted")


class EventKeys:
    """The keys that the events of one bucket announce, each once: as of its latest event.

    :ivar counts: events by their kind
    """

    def __init__(self, bucket: str) -> None:
        self.counts: Counter[Kind] = Counter()
        self._bucket = bucket
        self._latest: dict[str, tuple[str, KeyEntry]] = {}

    def add(self, body: Any) -> list[str]:
        """Add the events of a message; return why some of them cannot be read."""
        try:
            return [*self._add_document(_document(body))]
        except _MalformedError as error:
            self.counts["malformed"] += 1
            return [str(error)]

    def entries(self) -> list[dict[str, Any]]:
        """Return the keys with size and ETag, sorted, as the argument ``keys`` takes them.

        They have no version: an old event that comes late would otherwise replace the blob of a newer object.
        """
        found = (entry for _, (_, entry) in sorted(self._latest.items()))
        return [
            {
                name: value
                for name, value in (("key", one.key), ("size", one.size), ("etag", one.etag))
                if value is not None
            }
            for one in found
        ]

    def _add_document(self, document: Mapping[str, Any]) -> list[str]:
        if document.get("Type") == "Notification" and isinstance(document.get("Message"), str):  # of SNS
            document = _document(document["Message"])
        if document.get("Event") == "s3:TestEvent":
            self.counts["tests"] += 1
            return []
        if document.get("source") == "aws.s3" and "detail-type" in document:  # of EventBridge
            return self._add_event(document["detail-type"], document.get("detail"), is_encoded=False)
        records = document.get("Records")
        if not isinstance(records, list):
            raise _MalformedError("it is no event of S3: it has neither Records nor the source aws.s3")
        found = [
            self._add_event(record.get("eventName"), record.get("s3"), is_encoded=True)
            if isinstance(record, Mapping)
            else self._malformed("a record is no object")
            for record in records
        ]
        return [reason for reasons in found for reason in reasons]

    def _add_event(self, name: Any, detail: Any, *, is_encoded: bool) -> list[str]:
        """Count an event; add its key if it is of an object that was created."""
        # Ceph and MinIO write s3:ObjectCreated:Put.
        kind = name.removeprefix("s3:") if isinstance(name, str) else ""
        try:
            bucket = _member(_member(detail, "bucket"), "name")
            if bucket != self._bucket or not kind.startswith((*_CREATED, *_DELETED)):
                self.counts["ignored"] += 1
            elif kind.startswith(_DELETED):
                self.counts["deletions"] += 1
            else:
                self._add_created(_member(detail, "object"), is_encoded=is_encoded)
        except ValueError as error:
            return self._malformed(str(error))
        return []

    def _add_created(self, described: Any, *, is_encoded: bool) -> None:
        key = _member(described, "key")
        if is_encoded and isinstance(key, str):
            try:
                key = unquote_plus(key, errors="strict")
            except UnicodeDecodeError:
                raise _MalformedError("the key is not UTF-8") from None
        sequencer = described.get("sequencer") or ""
        if not isinstance(sequencer, str):
            raise _MalformedError("the sequencer is no text")
        etag = described.get("eTag", described.get("etag"))
        entry = entry_of({"key": key, "size": described.get("size"), "etag": etag or None})
        self.counts["created"] += 1
        before = self._latest.get(entry.key)
        if before is None or not _is_earlier(sequencer, before[0]):
            self._latest[entry.key] = (sequencer, entry)

    def _malformed(self, reason: str) -> list[str]:
        self.counts["malformed"] += 1
        return [reason]


class _MalformedError(ValueError):
    """A message or an event cannot be read; the text says why."""


def _document(body: Any) -> Mapping[str, Any]:
    try:
        found = json.loads(body)
    except (TypeError, ValueError, RecursionError):
        raise _MalformedError("it is not JSON") from None
    if not isinstance(found, Mapping):
        raise _MalformedError(f"it is a JSON {type(found).__name__}, not an object")
    return found


def _member(value: Any, name: str) -> Any:
    if not isinstance(value, Mapping) or value.get(name) is None:
        raise _MalformedError(f"it has no {quote_text(name, 20)!r} where S3 puts it")
    return value[name]


def _is_earlier(sequencer: str, other: str) -> bool:
    """Return whether an event of a key came before another one. S3 compares the hexadecimal numbers from the left."""
    width = max(len(sequencer), len(other))
    return sequencer.ljust(width, "0") < other.ljust(width, "0")
