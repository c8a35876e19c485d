"""The storage classes of S3. Pure."""

from __future__ import annotations

from airflow_s3_azure.engine.s3.storage_classes import ARCHIVE_CLASSES, GENERAL_PURPOSE_CLASSES


def test_objects_of_two_general_purpose_classes_must_be_restored() -> None:
    """Glacier Instant Retrieval is read at once."""
    assert ARCHIVE_CLASSES < GENERAL_PURPOSE_CLASSES
    assert sorted(GENERAL_PURPOSE_CLASSES - ARCHIVE_CLASSES) == [
        "GLACIER_IR",
        "INTELLIGENT_TIERING",
        "ONEZONE_IA",
        "REDUCED_REDUNDANCY",
        "STANDARD",
        "STANDARD_IA",
    ]
