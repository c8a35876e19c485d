"""The block mover of each mode."""

from __future__ import annotations

from airflow_s3_azure.engine.azure.container import BlobContainer
from airflow_s3_azure.engine.block_mover import BlockMover
from airflow_s3_azure.engine.options import CopyOptions
from airflow_s3_azure.engine.s3.source import S3Source
from airflow_s3_azure.engine.server_side.mover import ServerSideMover
from airflow_s3_azure.engine.stream_mover import StreamMover


def block_mover(source: S3Source, container: BlobContainer, options: CopyOptions) -> BlockMover:
    """Return the mover of ``options.mode``."""
    kind = ServerSideMover if options.mode == "server_side" else StreamMover
    return kind(source, container, options)
