"""The block mover of each mode."""

from __future__ import annotations

from typing import cast, get_args

import pytest

from airflow_s3_azure.engine.azure.container import BlobContainer
from airflow_s3_azure.engine.modes import block_mover
from airflow_s3_azure.engine.options import CopyOptions, Mode
from airflow_s3_azure.engine.s3.source import S3Source
from airflow_s3_azure.engine.server_side.mover import ServerSideMover
from airflow_s3_azure.engine.stream_mover import StreamMover
from tests.fakes.memory import FakeAzure, FakeS3

MOVERS = {"stream": StreamMover, "server_side": ServerSideMover}


@pytest.mark.parametrize("mode", get_args(Mode))
def test_each_mode_has_its_mover(mode: Mode) -> None:
    """It takes the options."""
    source, container = cast("S3Source", FakeS3({})), cast("BlobContainer", FakeAzure())

    mover = block_mover(source, container, CopyOptions(mode=mode, block_size=1000))

    assert (type(mover), mover.block_size, mover.reason) == (MOVERS[mode], 1000, None)
