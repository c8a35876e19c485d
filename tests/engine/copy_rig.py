"""What tests of a copy between the S3 server and Azurite share."""

from __future__ import annotations

import random

from airflow_s3_azure.engine.model import CopyRequest, CopyResult, Precondition
from airflow_s3_azure.engine.options import CopyOptions
from airflow_s3_azure.engine.retry import RetryPolicy
from tests.rig import Rig

BLOCK = 64 * 1024
OPTIONS = CopyOptions(block_size=BLOCK, retry=RetryPolicy(attempts=2, first_wait=0.01, max_wait=0.01))
ABSENT = Precondition(None)


class CopyRig(Rig):
    """Copies with the options of these tests."""

    def copy(self, *wanted: CopyRequest, options: CopyOptions = OPTIONS, threads: int = 3) -> list[CopyResult]:
        """Copy objects and return their results."""
        return super().copy(*wanted, options=options, threads=threads)


def random_bytes(size: int) -> bytes:
    """Return bytes that a size determines."""
    return random.Random(size).randbytes(size)
