"""The operators: Airflow's face of the engine. Thin: arguments in, errors and results mapped, progress to the log.

Nothing heavy is imported before a task runs, so that a DAG file that names these operators parses quickly.
"""

from airflow_s3_azure.operators.copy_batch import S3ToAzureCopyBatchOperator
from airflow_s3_azure.operators.plan import S3ToAzureBatchesOperator, S3ToAzurePlanOperator
from airflow_s3_azure.operators.report import S3ToAzureReportOperator
from airflow_s3_azure.operators.stream import S3ToAzureBlobStreamOperator

__all__ = [
    "S3ToAzureBatchesOperator",
    "S3ToAzureBlobStreamOperator",
    "S3ToAzureCopyBatchOperator",
    "S3ToAzurePlanOperator",
    "S3ToAzureReportOperator",
]
