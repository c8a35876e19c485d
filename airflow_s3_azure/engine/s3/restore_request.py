"""Requests the restore of an archived object. boto3 sends it: it is one small request, and no byte of the object moves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from airflow_s3_azure.engine.errors import SourceReadError
from airflow_s3_azure.engine.http.failures import describe
from airflow_s3_azure.engine.s3.refusals import Refusal, translate

if TYPE_CHECKING:
    from airflow_s3_azure.engine.errors import TransferError
    from airflow_s3_azure.engine.options import RestoreTier
    from airflow_s3_azure.engine.s3.source import S3Source

_NOTHING_TO_DO = ("RestoreAlreadyInProgress", "InvalidObjectState")
"""It is being restored, or is not archived (any more)."""


def request_restore(
    client: Any, source: S3Source, key: str, *, tier: RestoreTier, days: int | None, version_id: str | None = None
) -> None:
    """Request that an archived object can be read for some days. Idempotent: a restore in progress goes on.

    :param days: None for an object of Intelligent-Tiering
    :raises TransferError: if S3 refuses it
    """
    request: dict[str, Any] = {"GlacierJobParameters": {"Tier": tier}}
    if days is not None:
        request["Days"] = days
    version = {} if version_id is None else {"VersionId": version_id}
    failure: TransferError
    try:
        client.restore_object(Bucket=source.bucket, Key=key, RestoreRequest=request, **version, **source.payer)
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") in _NOTHING_TO_DO:
            return
        failure = translate(
            Refusal.of_client_error(error), bucket=source.bucket, key=source.url(key), connection=source.connection
        )
    except BotoCoreError as error:
        failure = SourceReadError(
            f"its restore could not be requested: {describe(error)}", key=source.url(key), transient=True
        )
    else:
        return
    raise failure  # outside the handler: the error of a credential process may contain secrets
