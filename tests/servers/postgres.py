"""A PostgreSQL for a metadata database that is thrown away: nothing waits for the disk."""

from __future__ import annotations

import os
import pwd
import signal
import socket
import struct
import subprocess
from pathlib import Path

from tests.servers.debian import libraries, program
from tests.servers.process import ServerError, ServerProcess, Startable, child_environment, free_port

_NAME = "PostgreSQL"
_START_SECONDS = 60.0
_OWNER = "nobody"
# PostgreSQL refuses to run as root. As another user it needs this to reach a directory that is root's alone.
_NOT_AS_ROOT = [
    "setpriv",
    *(f"--reuid={_OWNER}", "--regid=nogroup", "--clear-groups"),
    *("--inh-caps=+dac_override", "--ambient-caps=+dac_override"),
]
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "200",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
}
_USER = "airflow"
_DATABASE = "postgres"


class PostgresServer(Startable):
    """A private PostgreSQL; `directory` gets its files (`postgres/`) and its log (`postgres.log`).

    Anyone who reaches its port on 127.0.0.1 is its superuser. Rows outlive a stop and a new start, and so does the port.
    """

    def __init__(self, directory: Path) -> None:
        self.port = free_port()
        self.address = f"{_USER}@127.0.0.1:{self.port}/{_DATABASE}"
        self.log = directory / "postgres.log"
        self._files = (directory / "postgres").resolve()
        self._environment = child_environment(**libraries())
        self._drop = _NOT_AS_ROOT if os.geteuid() == 0 else []
        settings = {**_SETTINGS, "port": str(self.port)}
        self.process = ServerProcess(
            _NAME,
            [
                *(*self._drop, str(program("postgres")), "-D", str(self._files)),
                *(argument for name, value in settings.items() for argument in ("-c", f"{name}={value}")),
            ],
            directory=self._files,
            environment=self._environment,
            log=self.log,
            # A fast shutdown: clients are disconnected, and none is waited for.
            stop_signal=signal.SIGINT,
        )

    def start(self) -> None:
        """Start the server and wait until it responds by its protocol; before its first start its files are made."""
        if not (self._files / "PG_VERSION").exists():
            self._make_files()
        self.process.start(self._speaks, within=_START_SECONDS)

    def stop(self) -> None:
        """Stop the server; its rows stay in the directory."""
        self.process.stop()

    def _make_files(self) -> None:
        self._files.mkdir(parents=True, mode=0o700)
        if self._drop:
            os.chown(self._files, *_ids_of(_OWNER))
        options = ["-D", str(self._files), "-U", _USER, "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"]
        made = subprocess.run(
            [*self._drop, str(program("initdb")), *options],
            cwd=self._files,
            env=self._environment,
            check=False,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        if made.returncode:
            self.log.write_text(made.stdout)
            raise ServerError(_NAME, "could not make its files", self.log)

    def _speaks(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as caller:
                caller.sendall(_hello())
                return caller.recv(1) == b"R"  # for: logged in; E while it starts
        except OSError:
            return False


def _hello() -> bytes:
    """Return the first message of a client of protocol 3.0."""
    body = struct.pack("!i", 3 << 16) + f"user\0{_USER}\0database\0{_DATABASE}\0\0".encode()
    return struct.pack("!i", len(body) + 4) + body


def _ids_of(user: str) -> tuple[int, int]:
    found = pwd.getpwnam(user)
    return found.pw_uid, found.pw_gid
