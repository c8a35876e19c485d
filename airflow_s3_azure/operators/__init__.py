"""The operators: a thin layer that maps Airflow's arguments, results, errors and progress to ``sync`` and ``engine``.

An operator is imported when it is used, and heavy modules when a task runs, so that DAG files parse quickly.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_s3_azure.operators.audit import S3ToAzureAuditOperator
    from airflow_s3_azure.operators.connected import airflow_failures
    from airflow_s3_azure.operators.copy_batch import S3ToAzureCopyBatchOperator
    from airflow_s3_azure.operators.plan import S3ToAzureBatchesOperator, S3ToAzurePlanOperator
    from airflow_s3_azure.operators.preflight import S3ToAzurePreflightOperator
    from airflow_s3_azure.operators.report import S3ToAzureReportOperator
    from airflow_s3_azure.operators.run_conf import check_run_conf
    from airflow_s3_azure.operators.s3_events import S3ToAzureEventsOperator
    from airflow_s3_azure.operators.stream import S3ToAzureBlobStreamOperator

__all__ = [
    "S3ToAzureAuditOperator",
    "S3ToAzureBatchesOperator",
    "S3ToAzureBlobStreamOperator",
    "S3ToAzureCopyBatchOperator",
    "S3ToAzureEventsOperator",
    "S3ToAzurePlanOperator",
    "S3ToAzurePreflightOperator",
    "S3ToAzureReportOperator",
    "airflow_failures",
    "check_run_conf",
]

_MODULES = {
    "S3ToAzureAuditOperator": "audit",
    "S3ToAzureBatchesOperator": "plan",
    "S3ToAzureBlobStreamOperator": "stream",
    "S3ToAzureCopyBatchOperator": "copy_batch",
    "S3ToAzureEventsOperator": "s3_events",
    "S3ToAzurePlanOperator": "plan",
    "S3ToAzurePreflightOperator": "preflight",
    "S3ToAzureReportOperator": "report",
    "airflow_failures": "connected",
    "check_run_conf": "run_conf",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
