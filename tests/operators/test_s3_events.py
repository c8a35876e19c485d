"""The operator that reads the events which started a run."""

from __future__ import annotations

import json
import logging
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from airflow_s3_azure.operators import S3ToAzureEventsOperator

ETAG = "d41d8cd98f00b204e9800998ecf8427e"


def message(body: str, number: int = 1) -> dict[str, str]:
    """Return a message as the Amazon provider's trigger returns it."""
    return {"MessageId": f"id-{number}", "ReceiptHandle": "handle", "Body": body}


def created(key: str) -> str:
    """Return the body of a message of S3."""
    described = {"bucket": {"name": "exports"}, "object": {"key": key, "size": 1, "eTag": ETAG}}
    return json.dumps({"Records": [{"eventName": "ObjectCreated:Put", "s3": described}]})


def run(extras: list[Any]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Execute the operator in a run that asset events with these extras started; return its result and its XComs."""
    pushed: dict[str, Any] = {}
    ti = SimpleNamespace(xcom_push=lambda *, key, value: pushed.update({key: value}))
    asset_events = {"queue": [SimpleNamespace(extra=extra) for extra in extras]} if extras else {}
    operator = S3ToAzureEventsOperator(task_id="read_events", s3_bucket="exports")
    return operator.execute({"ti": ti, "triggering_asset_events": asset_events}), pushed  # type: ignore[typeddict-item]


def event(*messages: Any) -> dict[str, Any]:
    """Return the extra of an asset event that a trigger made."""
    return {"from_trigger": True, "payload": {"status": "success", "message_batch": list(messages)}}


def test_the_messages_of_all_asset_events_are_read() -> None:
    """While a run was active, several were made."""
    keys, pushed = run([event(message(created("b")), message(created("a"))), event(message(created("a")))])

    assert keys == [{"key": "a", "size": 1, "etag": ETAG}, {"key": "b", "size": 1, "etag": ETAG}]
    assert pushed["events"] == {
        "messages": 3,
        "keys": 2,
        "created": 3,
        "deletions": 0,
        "tests": 0,
        "ignored": 0,
        "malformed": 0,
    }


def test_a_malformed_message_is_logged_by_its_id(caplog: pytest.LogCaptureFixture) -> None:
    """Its content is not; the messages beside it are read."""
    with caplog.at_level(logging.WARNING, "airflow_s3_azure"):
        keys, pushed = run([event(message("secret {", 1), message(created("a"), 2), "no message", message("[]", 4))])

    assert [one["key"] for one in keys] == ["a"]
    assert pushed["events"]["malformed"] == 3
    logged = [record.getMessage() for record in caplog.records]
    assert [line.split("'")[1] for line in logged] == ["id-1", "None", "id-4"]
    assert "secret" not in "".join(logged)


@pytest.mark.parametrize("extra", [{}, None, {"payload": "x"}, {"payload": {"message_batch": "x"}}])
def test_an_asset_event_without_messages_copies_nothing(extra: Any) -> None:
    """A user may make one in the UI."""
    keys, pushed = run([extra])

    assert (keys, pushed["events"]["messages"]) == ([], 0)


def test_a_run_that_no_event_started_copies_nothing() -> None:
    """Such as one that a user triggered."""
    assert run([])[0] == []


@pytest.mark.parametrize("bucket", ["", "a/b"])
def test_a_bucket_that_is_none_fails(bucket: str) -> None:
    """Without a retry, before anything is read."""
    operator = S3ToAzureEventsOperator(task_id="read_events", s3_bucket="{{ params.s3_bucket }}")
    operator.s3_bucket = bucket

    with pytest.raises(AirflowFailException, match="s3_bucket"):
        operator.execute({})
