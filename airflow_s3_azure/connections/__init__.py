"""Opens source and destination from Airflow's connections, as ``S3Hook`` and ``WasbHook`` authorize them."""

from airflow_s3_azure.connections.aws import S3Bucket, open_bucket
from airflow_s3_azure.connections.pair import check_object, open_endpoints, request_check
from airflow_s3_azure.connections.wasb import AzureContainer, open_container

__all__ = [
    "AzureContainer",
    "S3Bucket",
    "check_object",
    "open_bucket",
    "open_container",
    "open_endpoints",
    "request_check",
]
