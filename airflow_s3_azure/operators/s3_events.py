"""The operator that turns the events of S3 which started a run into the keys of a sync."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, get_args

from airflow.sdk import BaseOperator

from airflow_s3_azure.engine.quoting import get_logger, quote_text
from airflow_s3_azure.operators.arguments import check_arguments, read_argument
from airflow_s3_azure.operators.connected import airflow_failures
from airflow_s3_azure.operators.run_conf import check_run_conf

if TYPE_CHECKING:
    from airflow.sdk import Context

log = get_logger(__name__)

EVENTS_KEY = "events"
"""XCom key of the numbers of events."""
_MAX_LOGGED = 100
"""Malformed messages that are logged one by one."""


class S3ToAzureEventsOperator(BaseOperator):
    """Return the keys that the events of S3 announce, for the argument ``keys`` of a sync.

    The events are in the messages of the asset events that started the run, as an ``AssetWatcher`` with the Amazon provider's
    ``SqsSensorTrigger`` receives them: sent by S3 directly, through SNS, or through EventBridge. A message that cannot be
    read is logged with its ID and left out. The number of events of each kind is in XCom under the key ``events``. A run that
    no event started returns no key.

    :param s3_bucket: events of other buckets are ignored (templated)
    """

    template_fields: Sequence[str] = ("s3_bucket",)
    ui_color = "#eef7ee"

    def __init__(self, *, s3_bucket: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_arguments({"s3_bucket": s3_bucket})
        self.s3_bucket = s3_bucket

    def execute(self, context: Context) -> list[dict[str, Any]]:
        """Return an entry with key, size and ETag for each key."""
        from airflow_s3_azure.engine.progress import count_text
        from airflow_s3_azure.sync.keys.event_messages import EventKeys, Kind

        with airflow_failures():
            check_run_conf(context)
            events = EventKeys(read_argument("s3_bucket", self.s3_bucket))
        messages = malformed = 0
        for message in _messages(context):
            messages += 1
            reasons = events.add(message.get("Body"))
            malformed += bool(reasons)
            if reasons and malformed <= _MAX_LOGGED:
                log.warning(
                    "message %r of the queue is malformed, and was left out as far as it cannot be read: %s",
                    quote_text(str(message.get("MessageId")), 100),
                    "; ".join(reasons[:3]),
                )
        entries = events.entries()
        counts = {kind: events.counts[kind] for kind in get_args(Kind)}
        log.info(
            "%s in %s of the queue: %s; %s",
            count_text(sum(counts.values()), "event"),
            count_text(messages, "message"),
            ", ".join(f"{count:,} {kind}" for kind, count in counts.items()),
            count_text(len(entries), "key"),
        )
        context["ti"].xcom_push(key=EVENTS_KEY, value={"messages": messages, "keys": len(entries), **counts})
        return entries


def _messages(context: Context) -> Iterator[Mapping[str, Any]]:
    """Yield the messages of the queue in the asset events that started the run."""
    for asset_events in (context.get("triggering_asset_events") or {}).values():
        for event in asset_events:
            payload = (event.extra or {}).get("payload")  # an asset event that a user made has none
            batch = payload.get("message_batch") if isinstance(payload, Mapping) else None
            for message in batch if isinstance(batch, list) else ():
                yield message if isinstance(message, Mapping) else {}
