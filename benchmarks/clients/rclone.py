"""The command lines of rclone, which is no Python: each copy is a process of its own."""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks.job import Job
from benchmarks.source import PREFIX, REGION
from benchmarks.stand_ins import ACCOUNT, KEY

BINARY = Path(sys.executable).parent / "rclone"


def environment(job: Job) -> dict[str, str]:
    """Return the environment that defines the remotes ``s3`` and ``azure``, and no other configuration."""
    return {
        "RCLONE_CONFIG": "/dev/null",
        "RCLONE_CONFIG_S3_TYPE": "s3",
        "RCLONE_CONFIG_S3_PROVIDER": "AWS",
        "RCLONE_CONFIG_S3_ENDPOINT": job.source,
        "RCLONE_CONFIG_S3_REGION": REGION,
        "RCLONE_CONFIG_S3_ACCESS_KEY_ID": "access",
        "RCLONE_CONFIG_S3_SECRET_ACCESS_KEY": "secret",
        "RCLONE_CONFIG_S3_FORCE_PATH_STYLE": "true",
        "RCLONE_CONFIG_AZURE_TYPE": "azureblob",
        "RCLONE_CONFIG_AZURE_ACCOUNT": ACCOUNT,
        "RCLONE_CONFIG_AZURE_KEY": KEY,
        "RCLONE_CONFIG_AZURE_ENDPOINT": job.sink,
    }


def command(job: Job, *, tuned: bool) -> list[str]:
    """Return the command that copies a job.

    :param tuned: with the connections and the block size of the job, and without needless checks
    """
    source = f"s3:{job.bucket}/{job.keys[0] if job.objects == 1 else PREFIX}"
    sink = f"azure:{job.container}/{job.keys[0] if job.objects == 1 else PREFIX}"
    line = [str(BINARY), "copyto" if job.objects == 1 else "copy", source, sink, "--retries", "1"]
    if not tuned:
        return line
    block, connections = f"{job.block_size}B", str(job.connections)
    return [
        *line,
        *("--transfers", connections, "--checkers", connections),
        # One large object: in parallel ranges; several: one stream each.
        *("--multi-thread-streams", connections if job.objects == 1 else "0", "--multi-thread-chunk-size", block),
        *("--multi-thread-cutoff", block),
        *("--azureblob-chunk-size", block, "--azureblob-upload-concurrency", connections),
        *("--fast-list", "--use-server-modtime", "--no-check-dest", "--azureblob-no-check-container"),
    ]
