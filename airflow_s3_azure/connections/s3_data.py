"""Botocore's description of S3, read once per process instead of once per session.

It is several megabytes of JSON, and much of the cost of a client.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from botocore.config import Config
from botocore.exceptions import BotoCoreError
from botocore.loaders import create_loader
from botocore.session import get_session

from airflow_s3_azure.engine.http.redaction import quote_error
from airflow_s3_azure.engine.quoting import get_logger

if TYPE_CHECKING:
    import botocore.session
    from botocore.loaders import Loader

log = get_logger(__name__)


def share_descriptions(session: botocore.session.Session) -> None:
    """Let a session use the descriptions that another session of this process has read."""
    session.register_component("data_loader", _loader(session.get_config_variable("data_path")))


def read_in_advance() -> None:
    """Read what a client of S3 needs, without a request and without credentials."""
    try:
        session = get_session()
        share_descriptions(session)
        session.create_client(
            "s3",
            region_name="us-east-1",
            aws_access_key_id="none",
            aws_secret_access_key="none",  # noqa: S106 - the client signs nothing
            config=Config(defaults_mode="legacy"),  # botocore's "auto" sends a request to find the region
        )
    except BotoCoreError as error:  # such as an invalid profile; a task with this connection reports it
        log.debug("botocore's description of S3 is not read in advance: %s", quote_error(error))


@cache
def _loader(data_path: str | None) -> Loader:
    return create_loader(data_path)
