"""A Redis for messages that are thrown away."""

from __future__ import annotations

import socket
from pathlib import Path

from tests.servers.debian import libraries, program
from tests.servers.process import ServerProcess, Startable, child_environment, free_port

_START_SECONDS = 30.0


class RedisServer(Startable):
    """A private Redis, without a password, on 127.0.0.1; `directory` gets its log (`redis.log`).

    What it holds is lost when it stops; the port stays the same if it is started again.
    """

    def __init__(self, directory: Path) -> None:
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.log = directory / "redis.log"
        options = {"bind": "127.0.0.1", "port": str(self.port), "save": "", "appendonly": "no"}
        self.process = ServerProcess(
            "Redis",
            [
                str(program("redis-server")),
                *(argument for name, value in options.items() for argument in (f"--{name}", value)),
            ],
            directory=directory / "redis",
            environment=child_environment(**libraries()),
            log=self.log,
        )

    def start(self) -> None:
        """Start the server and wait until it responds to a ping."""
        self.process.start(self._responds, within=_START_SECONDS)

    def stop(self) -> None:
        """Stop the server."""
        self.process.stop()

    def _responds(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as caller:
                caller.sendall(b"PING\r\n")
                return caller.recv(7) == b"+PONG\r\n"
        except OSError:
            return False
