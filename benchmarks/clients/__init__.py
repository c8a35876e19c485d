"""The clients that are compared, each in a module of its own, with the same two steps: prepare, copy.

``prepare(job)`` does what a long-lived task does once (imports, connections), and returns the function that copies a
job. ``python -m benchmarks.clients NAME JOB`` runs one in a process of its own and prints what the copying cost.
"""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.job import Job

Copy = Callable[[Job], None]
"""Copies all objects of a job; raises if one could not be copied."""

CLIENTS = {
    "ours": "this project",
    "rclone": "rclone, default",
    "rclone-tuned": "rclone, tuned",
    "stock": "S3ToAzureBlobStorageOperator",
    "object-storage": "ObjectStoragePath.copy",
    "script": "requests → upload_blob",
    "sdk": "boto3 → stage_block",
    "obstore": "obstore",
    "floor": "floor: bare sockets, no checks",
    "curl": "floor: curl reads, curl writes",
}
"""What each is called in tables."""
