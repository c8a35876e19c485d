"""Other servers that speak S3, each in its own dialect: moto, rclone, s3rver and SeaweedFS.

The tests of the package run against LocalStack (:mod:`tests.servers.s3`); against these it runs what a user of such a
store needs (`tests/stores`).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.servers.environment import NODE_MODULES, STORES, node_home
from tests.servers.process import ServerProcess, child_environment, free_port
from tests.servers.s3 import S3Endpoint


class StoreServer(S3Endpoint):
    """A store; `directory` gets its files and its log, both by its name. Objects may be lost when it stops."""

    name: str

    def __init__(self, directory: Path) -> None:
        super().__init__()
        self.files = directory / self.name
        self.files.mkdir()
        self.process = ServerProcess(
            self.name,
            self.command(),
            directory=self.files,
            environment=child_environment(),
            log=directory / f"{self.name}.log",
        )

    def command(self) -> Sequence[str]:
        """Return what starts it, with `files` as the working directory."""
        raise NotImplementedError


class MotoServer(StoreServer):
    """moto: a mock of AWS in memory. It checks no signature."""

    name = "moto"

    def command(self) -> Sequence[str]:
        """Return what starts it."""
        return [str(STORES / "moto_server"), "-H", "127.0.0.1", "-p", str(self.port)]


class RcloneServer(StoreServer):
    """`rclone serve s3`: a directory, whose folders are the buckets. `files` holds the objects."""

    name = "rclone"

    def command(self) -> Sequence[str]:
        """Return what starts it."""
        return [
            str(Path(sys.executable).with_name("rclone")),
            *("serve", "s3", str(self.files), f"--addr=127.0.0.1:{self.port}", "--dir-cache-time=0"),
            *(f"--auth-key={self.access_key},{self.secret_key}", f"--config={self.files.with_suffix('.conf')}"),
        ]


class S3rverServer(StoreServer):
    """s3rver: a directory, for tests of Node.js programs. Its access key is fixed."""

    name = "s3rver"

    def command(self) -> Sequence[str]:
        """Return what starts it."""
        self.access_key = self.secret_key = "S3RVER"
        node, script = node_home() / "bin" / "node", NODE_MODULES / "s3rver" / "bin" / "s3rver.js"
        return [str(node), str(script), "-d", str(self.files), "-a", "127.0.0.1", "-p", str(self.port)]


class SeaweedServer(StoreServer):
    """SeaweedFS, a distributed store: master, volume server, filer and S3 gateway in one process."""

    name = "SeaweedFS"

    def command(self) -> Sequence[str]:
        """Return what starts it."""
        config = self.files.with_suffix(".json")
        credentials = [{"accessKey": self.access_key, "secretKey": self.secret_key}]
        config.write_text(
            json.dumps({"identities": [{"name": "test", "credentials": credentials, "actions": ["Admin"]}]})
        )
        ports = [
            f"-{part}={free_port()}"
            for one in ("master", "volume", "filer")
            for part in (f"{one}.port", f"{one}.port.grpc")
        ]
        return [
            *(str(STORES / "weed"), "server", f"-dir={self.files}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", *ports),
            *("-s3", f"-s3.port={self.port}", f"-s3.port.grpc={free_port()}", f"-s3.config={config}"),
            # No gateway of Iceberg or Lance; small files instead of the default of 30 GB, seven or more for each bucket; nothing is reported to its makers.
            *("-s3.port.iceberg=0", "-s3.port.lance=0", "-master.volumeSizeLimitMB=64", "-volume.max=1000"),
            "-master.telemetry=false",
        ]
