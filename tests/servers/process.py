"""One server as a child process: started, waited for, stopped with all it started."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.servers import sessions
from tests.servers.environment import ENVIRONMENT

_POLL_SECONDS = 0.05
_TAIL_LINES = 30
# A developer's own cloud credentials and Airflow settings must not reach a test.
_NOT_INHERITED = ("AIRFLOW", "AWS_", "AZURE_", "AZURITE_", "LOCALSTACK_")

_ports_given: set[int] = set()
_ports_lock = threading.Lock()


class ServerError(Exception):
    """A server did not start, died, or refused a request; names the server and shows the end of its log."""

    def __init__(self, server: str, problem: str, log: Path | None = None) -> None:
        self.server = server
        self.log = log
        message = f"{server} {problem}"
        if log is not None:
            lines = log.read_text(errors="replace").splitlines()[-_TAIL_LINES:] if log.exists() else []
            message += f"\nlog: {log}" + "".join(f"\n  {line}" for line in lines)
        super().__init__(message)


class Startable:
    """What runs while its context lasts."""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start it, and wait until it responds."""
        raise NotImplementedError

    def stop(self) -> None:
        """Stop it."""
        raise NotImplementedError


class ServerProcess:
    """A server's process, leader of a session of its own, with its output in a log file.

    `stop_signal` goes to the leader alone; what is left of the session when it has ended, or after `grace`
    seconds, is killed. If this Python dies, even by SIGKILL, the session is killed too.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        directory: Path,
        environment: Mapping[str, str],
        log: Path,
        stop_signal: signal.Signals = signal.SIGTERM,
        grace: float = 10.0,
    ) -> None:
        self.name = name
        self.log = log
        self._command = list(command)
        self._directory = directory
        self._environment = dict(environment)
        self._stop_signal = stop_signal
        self._grace = grace
        self._leader: subprocess.Popen[bytes] | None = None
        self._guard: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The leader's process id, which is the id of the session too."""
        if self._leader is None:
            raise ServerError(self.name, "is not running", self.log)
        return self._leader.pid

    @property
    def is_running(self) -> bool:
        """Whether it was started, not stopped, and did not end by itself."""
        return self._leader is not None and self._leader.poll() is None

    def start(self, is_ready: Callable[[], bool], *, within: float) -> None:
        """Start the process and poll `is_ready`; raise ServerError if it dies or is late (seconds)."""
        if self._leader is not None:
            raise ServerError(self.name, "is running already", self.log)
        try:
            self._spawn()
            self._wait(is_ready, within)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop the server and every process it started; does nothing if it is not running."""
        leader, self._leader = self._leader, None
        guard, self._guard = self._guard, None
        if leader is not None:
            leader.send_signal(self._stop_signal)
            try:
                leader.wait(self._grace)
            except subprocess.TimeoutExpired:
                pass
            finally:
                sessions.kill_session(leader.pid)
                leader.wait()
        if guard is not None:
            guard.kill()
            guard.communicate()

    def kill(self) -> None:
        """Kill the server and every process it started, at once, as a machine that loses power does."""
        sessions.kill_session(self.pid)
        self.stop()

    def suspend(self) -> None:
        """Freeze the server and every process it started, as on a machine that hangs."""
        for member in sessions.session_members(self.pid):
            os.kill(member, signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        for member in sessions.session_members(self.pid):
            os.kill(member, signal.SIGCONT)

    def _spawn(self) -> None:
        self._directory.mkdir(parents=True, exist_ok=True)
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            try:
                self._leader = subprocess.Popen(
                    self._command,
                    cwd=self._directory,
                    env=self._environment,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    # A shell starts background jobs with SIGINT ignored, and that is inherited; Airflow
                    # stops by it.
                    preexec_fn=_restore_interrupt,  # noqa: PLW1509 - it takes no lock
                )
            except OSError as error:
                problem = f"could not be started ({error}): is it installed?"
                raise ServerError(self.name, problem, self.log) from error
        self._guard = subprocess.Popen(
            [sys.executable, "-IS", sessions.__file__, str(self._leader.pid)],
            stdin=subprocess.PIPE,
            start_new_session=True,
        )

    def _wait(self, is_ready: Callable[[], bool], within: float) -> None:
        assert self._leader is not None
        deadline = time.monotonic() + within
        while not is_ready():
            if (status := self._leader.poll()) is not None:
                raise ServerError(self.name, f"ended with {status} before it was ready", self.log)
            if time.monotonic() > deadline:
                raise ServerError(self.name, f"was not ready within {within:g} s", self.log)
            time.sleep(_POLL_SECONDS)


def _restore_interrupt() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def free_port() -> int:
    """Return a port of 127.0.0.1 that nothing listens on and that this process was not given before."""
    with _ports_lock:
        while True:
            with socket.socket() as listener:
                listener.bind(("127.0.0.1", 0))
                port = int(listener.getsockname()[1])
            if port not in _ports_given:
                _ports_given.add(port)
                return port


def child_environment(**extra: str) -> dict[str, str]:
    """Return this process's environment for a server: without cloud credentials, with `extra`."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(_NOT_INHERITED)}
    # Without bytecode the imports take 2.5 times as long; the cache is shared by all servers.
    inherited.pop("PYTHONDONTWRITEBYTECODE", None)
    inherited.setdefault("PYTHONPYCACHEPREFIX", str(ENVIRONMENT / ".bytecode"))
    already_direct = os.environ.get("NO_PROXY") or os.environ.get("no_proxy")
    direct = ",".join(filter(None, [already_direct, "127.0.0.1,localhost"]))
    return {**inherited, "PYTHONUNBUFFERED": "1", "NO_PROXY": direct, "no_proxy": direct, **extra}
