"""Opens source and destination from Airflow's connections, as ``S3Hook`` and ``WasbHook`` authorize them.

A task that opens only the destination, such as the report, imports nothing of boto3, which takes half a CPU second.
"""

from typing import TYPE_CHECKING, Any

from airflow_s3_azure.connections.imports import import_uncollected

if TYPE_CHECKING:
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

_MODULES = {
    "AzureContainer": "wasb",
    "S3Bucket": "aws",
    "check_object": "pair",
    "open_bucket": "aws",
    "open_container": "wasb",
    "open_endpoints": "pair",
    "request_check": "pair",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(import_uncollected(f"{__name__}.{_MODULES[name]}"), name)
    globals()[name] = found  # no second call for this name
    return found
