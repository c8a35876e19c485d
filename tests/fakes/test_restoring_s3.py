"""The S3 whose restores take time, as boto3 sees it; LocalStack serves and refuses the objects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.fakes.canned_server import serving
from tests.fakes.restoring_s3 import RestoringS3

if TYPE_CHECKING:
    from tests.conftest import Bucket
    from tests.servers import S3Server


@pytest.mark.servers
def test_a_restore_takes_time(bucket: Bucket, s3_server: S3Server) -> None:
    """It is requested once, in progress, and then done; until then LocalStack refuses the read, and afterwards it serves it."""
    with serving(RestoringS3(bucket, s3_server.port)) as s3:
        client = boto3.client(
            "s3",
            endpoint_url=s3.url,
            region_name=s3_server.region,
            aws_access_key_id=s3_server.access_key,
            aws_secret_access_key=s3_server.secret_key,
        )
        bucket.put("cold", b"1", StorageClass="GLACIER")
        request = {"Bucket": bucket.name, "Key": "cold"}

        def status() -> Any:
            page = client.list_objects_v2(Bucket=bucket.name, OptionalObjectAttributes=["RestoreStatus"])
            return page["Contents"][0].get("RestoreStatus", {}).get("IsRestoreInProgress")

        states = [status()]
        with pytest.raises(ClientError, match="InvalidObjectState"):
            client.get_object(**request)
        client.restore_object(**request, RestoreRequest={"Days": 1})
        states.append(status())
        with pytest.raises(ClientError, match="RestoreAlreadyInProgress"):
            client.restore_object(**request, RestoreRequest={"Days": 1})
        s3.finish(1)
        states.append(status())

        assert states == [None, True, False]
        assert client.get_object(**request)["Body"].read() == b"1"
