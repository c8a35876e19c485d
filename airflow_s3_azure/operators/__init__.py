"""The operators: a thin layer that maps Airflow's arguments, results, errors and progress to ``sync`` and ``engine``.

Heavy modules are imported when a task runs, so that DAG files parse quickly.
"""

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
