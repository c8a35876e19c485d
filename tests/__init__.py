"""Tests of airflow_s3_azure, and the servers they run against."""
