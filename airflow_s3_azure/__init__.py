"""Stream Amazon S3 objects to Azure Blob Storage from Airflow: block by block, verified, nothing on disk.

Importing this package imports nothing else; the operators live in :mod:`airflow_s3_azure.operators`, the task
group in :mod:`airflow_s3_azure.sync_group`, and the engine, which knows nothing of Airflow, in
:mod:`airflow_s3_azure.engine`.
"""

__all__ = ["__version__"]

__version__ = "0.1.0"
