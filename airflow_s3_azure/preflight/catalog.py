"""The list of all checks, in the order in which they run."""

from __future__ import annotations

from airflow_s3_azure.preflight.check import Check
from airflow_s3_azure.preflight.destination_checks import DESTINATION_CHECKS
from airflow_s3_azure.preflight.feature_checks import FEATURE_CHECKS
from airflow_s3_azure.preflight.source_checks import SOURCE_CHECKS
from airflow_s3_azure.preflight.write_checks import WRITE_CHECKS

CHECKS: tuple[Check, ...] = (*SOURCE_CHECKS, *DESTINATION_CHECKS, *WRITE_CHECKS, *FEATURE_CHECKS)
NAMES = tuple(check.name for check in CHECKS)
