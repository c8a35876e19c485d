"""Run one client in this process: imports and connections, one object of 1 KiB to warm up, then the job, measured.

Between the two it waits for the file ``BENCHMARK_START``, so that several processes copy at the same time.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
from dataclasses import asdict
from pathlib import Path

from benchmarks.job import Job
from benchmarks.measure import measure


def main() -> None:
    """Run the module and the job of the command line; print the cost in the last line."""
    name, text = sys.argv[1:]
    job = Job.from_text(text)
    client = importlib.import_module(f"benchmarks.clients.{name}")
    copy = client.prepare(job)
    copy(job.smallest())
    Path(os.environ["BENCHMARK_READY"]).touch()
    while not Path(os.environ["BENCHMARK_START"]).exists():
        time.sleep(0.005)
    cost = measure(lambda: copy(job))
    sys.stdout.write(f"\n{json.dumps(asdict(cost))}\n")
    sys.stdout.flush()
    os._exit(0)  # obstore's runtime aborts now and then while Python tears down; what it copied is counted by the sink


main()
