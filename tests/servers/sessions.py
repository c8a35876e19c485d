"""Kill every process of a session; as a script, do so when the parent is gone.

A server's children may move to process groups of their own (Airflow gives every task one), but they stay in
the session that the server leads, so the session is what must be empty in the end. Needs Linux's /proc.

As a script, `sessions.py SESSION` waits for the end of its standard input, a pipe that only its parent holds,
so it sees even a SIGKILL of the parent. (PR_SET_PDEATHSIG would fire when the *thread* that started the
server ends.)
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

_DEADLINE_SECONDS = 5.0


def session_members(session: int) -> list[int]:
    """Return the ids of the processes of a session that still run (zombies do not)."""
    members = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            stat = (entry / "stat").read_text()
        except OSError:
            continue
        # After the command's closing parenthesis: state, parent, group, session (proc(5)).
        state, _, _, its_session = stat.rpartition(")")[2].split()[:4]
        if int(its_session) == session and state not in "ZX":
            members.append(int(entry.name))
    return members


def kill_session(session: int) -> None:
    """Kill a session's processes, again until none is left, as they may fork meanwhile; give up after 5 s."""
    deadline = time.monotonic() + _DEADLINE_SECONDS
    while (members := session_members(session)) and time.monotonic() < deadline:
        for process in members:
            try:
                os.kill(process, signal.SIGKILL)
            except ProcessLookupError:
                continue
        time.sleep(0.01)


if __name__ == "__main__":
    sys.stdin.buffer.read()
    kill_session(int(sys.argv[1]))
