"""Events of S3 in the messages of a queue."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_s3_azure.sync.keys.event_messages import EventKeys, Kind
from airflow_s3_azure.sync.keys.key_entry import entry_of

ETAG = "d41d8cd98f00b204e9800998ecf8427e"


def record(key: str, event: str = "ObjectCreated:Put", bucket: str = "exports", **described: Any) -> dict[str, Any]:
    """Return a record as S3 writes it; the key is encoded already."""
    described = {"size": 5, "eTag": ETAG, "versionId": "v1", "sequencer": "0055AED6DCD90281E5", **described}
    return {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "eventName": event,
        "s3": {"s3SchemaVersion": "1.0", "bucket": {"name": bucket}, "object": {"key": key, **described}},
    }


def direct(*records: Any) -> str:
    """Return the body of a message that S3 sends to a queue."""
    return json.dumps({"Records": records})


def by_sns(body: str) -> str:
    """Return the body of a message that SNS forwards, without raw message delivery."""
    return json.dumps({"Type": "Notification", "MessageId": "1", "TopicArn": "arn:aws:sns:::t", "Message": body})


def by_eventbridge(key: str, kind: str = "Object Created", bucket: str = "exports", **described: Any) -> str:
    """Return the body of a message that EventBridge forwards."""
    detail = {
        "bucket": {"name": bucket},
        "object": {"key": key, "size": 5, "etag": ETAG, "version-id": "v1", **described},
    }
    return json.dumps({"version": "0", "id": "1", "detail-type": kind, "source": "aws.s3", "detail": detail})


def read(*bodies: Any) -> tuple[list[dict[str, Any]], dict[Kind, int]]:
    """Return the entries and the counts of some messages, none of which is malformed."""
    events = EventKeys("exports")
    assert [reason for body in bodies for reason in events.add(body)] == []
    return events.entries(), dict(events.counts)


def entry(key: str) -> dict[str, Any]:
    """Return the entry of an object of these tests."""
    return {"key": key, "size": 5, "etag": ETAG}


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(direct(record("a+b%2Bc%20d/%C3%A9")), id="direct"),
        pytest.param(by_sns(direct(record("a+b%2Bc%20d/%C3%A9"))), id="sns"),
        pytest.param(by_eventbridge("a b+c d/é"), id="eventbridge"),
        pytest.param(by_sns(by_eventbridge("a b+c d/é")), id="eventbridge-by-sns"),
    ],
)
def test_an_event_is_read_however_it_came(body: str) -> None:
    """The key is decoded where S3 encodes it: a plus is a space there, and %2B is a plus."""
    assert read(body) == ([entry("a b+c d/é")], {"created": 1})


def test_a_key_of_eventbridge_is_not_decoded() -> None:
    """EventBridge does not encode it."""
    assert read(by_eventbridge("100%25+x"))[0] == [entry("100%25+x")]


def test_a_message_has_several_records() -> None:
    """Each of them counts."""
    keys, counts = read(direct(record("b"), record("a"), record("c", "ObjectCreated:CompleteMultipartUpload")))

    assert keys == [entry("a"), entry("b"), entry("c")]
    assert counts == {"created": 3}


def test_the_latest_event_of_a_key_counts() -> None:
    """By its sequencer, in whatever order the events come; a shorter one is filled up on the right."""
    new, old = record("a", size=2, sequencer="0055AED6DCD9028200"), record("a", size=1, sequencer="0055AED6DCD90281")

    assert read(direct(new), direct(old)) == read(direct(old, new))
    assert read(direct(old, new)) == ([{"key": "a", "size": 2, "etag": ETAG}], {"created": 2})


@pytest.mark.parametrize(
    "body",
    [
        direct(record("a", "ObjectRemoved:Delete")),
        direct(record("a", "ObjectRemoved:DeleteMarkerCreated")),
        direct(record("a", "LifecycleExpiration:Delete")),
        by_eventbridge("a", "Object Deleted"),
    ],
)
def test_deletions_are_counted_and_copy_nothing(body: str) -> None:
    """Blobs are deleted by a full compare with delete="extra" alone."""
    assert read(body) == ([], {"deletions": 1})


@pytest.mark.parametrize(
    "body",
    [
        direct(record("a", "ObjectTagging:Put")),
        direct(record("a", "ObjectRestore:Post")),
        by_eventbridge("a", "Object Tags Added"),
        direct(record("a", bucket="other")),
        by_eventbridge("a", bucket="other"),
    ],
)
def test_other_events_and_other_buckets_are_ignored_and_counted(body: str) -> None:
    """They copy nothing."""
    assert read(body) == ([], {"ignored": 1})


@pytest.mark.parametrize(
    "body",
    [
        direct(record("a", "ObjectRestore:Completed", sequencer=None)),
        by_eventbridge("a", "Object Restore Completed"),
        direct(record("a", "s3:ObjectCreated:Put")),
    ],
)
def test_a_restored_object_is_copied(body: str) -> None:
    """It can be read now. Ceph and MinIO put a prefix before the name of the event."""
    assert read(body) == ([entry("a")], {"created": 1})


def test_the_test_event_is_no_error() -> None:
    """S3 sends one when a notification is configured."""
    body = json.dumps({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "exports"})

    assert read(body, by_sns(body)) == ([], {"tests": 2})


def test_an_event_without_size_and_etag_is_read() -> None:
    """The plan looks them up."""
    assert read(direct(record("a", size=None, eTag=None)))[0] == [{"key": "a"}]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("", "it is not JSON"),
        (None, "it is not JSON"),
        ("[" * 100_000, "it is not JSON"),
        ("{", "it is not JSON"),
        ("[]", "it is a JSON list, not an object"),
        ("{}", "it is no event of S3: it has neither Records nor the source aws.s3"),
        (by_sns("hello"), "it is not JSON"),
        (direct("x"), "a record is no object"),
        (direct({"eventName": "ObjectCreated:Put"}), "it has no 'bucket' where S3 puts it"),
        (direct(record("")), "the key is ''; it takes text, not empty"),
        (direct(record("%ff")), "the key is not UTF-8"),
        (direct(record("a", size=-1)), "the size is -1; it takes a number of bytes, at most 209,715,200,000,000"),
        (direct(record("a", size="x")), "the size is 'x'; it takes a number of bytes, at most 209,715,200,000,000"),
        (direct(record("a", eTag="W/x")), "the etag is 'W/x'; it takes a strong ETag, with or without quotes"),
        (direct(record("a", sequencer=5)), "the sequencer is no text"),
        (json.dumps({"source": "aws.s3", "detail-type": "Object Created"}), "it has no 'bucket' where S3 puts it"),
    ],
)
def test_a_malformed_message_is_counted_and_says_why(body: Any, reason: str) -> None:
    """It does not raise."""
    events = EventKeys("exports")

    assert events.add(body) == [reason]
    assert (events.entries(), dict(events.counts)) == ([], {"malformed": 1})


def test_a_malformed_record_hides_no_other_of_its_message() -> None:
    """The others are copied."""
    events = EventKeys("exports")

    assert len(events.add(direct(record("a"), None, record("%ff"), record("b")))) == 2
    assert events.entries() == [entry("a"), entry("b")]
    assert events.counts == {"created": 2, "malformed": 2}


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["Records", "s3", "bucket", "name", "object", "key", "eventName", "Type", "Message", "x"]),
            inner,
        )
    ),
    max_leaves=12,
)


@given(_JSON)
def test_any_document_is_read_or_malformed(document: Any) -> None:
    """Nothing is raised."""
    events = EventKeys("exports")

    reasons = events.add(json.dumps(document))

    assert events.counts["malformed"] == len(reasons)


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=100))
def test_any_key_comes_back(key: str) -> None:
    """As the argument `keys` reads it."""
    (found,) = read(direct(record(quote_plus(key))))[0]

    assert entry_of(found).key == key
