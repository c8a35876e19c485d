"""Where our CPU time goes: the threads of one copy under cProfile, by what the functions belong to.

``python -m benchmarks.profile 1 1073741824`` profiles the copy of one object of 1 GiB. The profiler makes every Python
call more expensive, by about half a microsecond, and calls into C not at all: read it as where the time goes, not as what it costs.
"""

from __future__ import annotations

import argparse
import cProfile
import importlib
import os
import pstats
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

from benchmarks.job import Job
from benchmarks.measure import measure
from benchmarks.stand_ins import stand_ins

_BUILT_IN = {
    "TLS and kernel: receive": ("recv_into", "'recv'", "'read' of '_ssl"),
    "TLS and kernel: send": ("sendall", "'send'", "sendmsg", "'write' of '_ssl"),
    "checksums": ("_awscrt",),
    "waiting for a turn": ("'acquire'", "'poll'", "'wait'", "'get' of '_queue"),
}
_FILES = {
    "signing": ("botocore", "hmac", "hashlib", "presign", "shared_key"),
    "this project": ("airflow_s3_azure",),
    "HTTP libraries": ("urllib3", "requests", "azure", "http/", "email/", "urllib", "ssl.py", "socket.py"),
}


def belongs_to(file: str, name: str) -> str:
    """Return the part of the code to which a function of a profile belongs."""
    if file == "~":
        return next(
            (kind for kind, parts in _BUILT_IN.items() if any(part in name for part in parts)), "other built-ins"
        )
    return next((kind for kind, parts in _FILES.items() if any(part in file for part in parts)), "other Python")


@contextmanager
def profiled() -> Iterator[list[cProfile.Profile]]:
    """Profile every thread that is started within, by its own CPU clock."""
    profiles: list[cProfile.Profile] = []
    run = threading.Thread.run

    def run_profiled(thread: threading.Thread) -> None:
        profile = cProfile.Profile(time.thread_time)
        profiles.append(profile)
        profile.runcall(run, thread)

    with patch.object(threading.Thread, "run", run_profiled):
        yield profiles


def main() -> None:
    """Copy once unprofiled and once profiled, and print both."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.profile", description="Where our CPU time goes.")
    parser.add_argument("objects", type=int)
    parser.add_argument("size", type=int)
    parser.add_argument("--tls", action="store_true", help="over TLS 1.3, as all real traffic is")
    given = parser.parse_args()
    with stand_ins(tls=given.tls) as servers, tempfile.TemporaryDirectory() as home:
        os.environ.update(servers.airflow_connections(), **servers.trust())
        os.environ.update(AIRFLOW_HOME=home, AIRFLOW__LOGGING__LOGGING_LEVEL="WARNING")
        copy = importlib.import_module("benchmarks.clients.ours").prepare
        jobs = [Job(servers.source, servers.sink, name, given.objects, given.size) for name in ("plain", "profiled")]
        for job in jobs:
            for one in (job, job.smallest()):
                servers.create_container(one.container)
        plain = copy(jobs[0])
        plain(jobs[0].smallest())
        cost = measure(lambda: plain(jobs[0]))
        watched = copy(jobs[1])
        watched(jobs[1].smallest())
        with profiled() as profiles:
            watched(jobs[1])
        first, *others = profiles
        stats = pstats.Stats(first)
        for other in others:
            stats.add(other)
    spent: Counter[str] = Counter()
    for (file, _, name), found in stats.stats.items():  # type: ignore[attr-defined]
        spent[belongs_to(file, name)] += found[2]
    total = spent.total()
    print(f"{cost.cpu:.2f} s of CPU without the profiler, {total:.2f} s with it, of which")
    for kind, seconds in spent.most_common():
        print(f"  {seconds / total:6.1%}  {seconds:6.2f} s  {kind}")
    stats.sort_stats("tottime").print_stats(40)


if __name__ == "__main__":
    main()
