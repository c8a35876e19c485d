"""Run one client in this process: imports and connections, one object of 1 KiB to warm up, then the job, measured."""

from __future__ import annotations

import importlib
import json
import os
import sys
from dataclasses import asdict

from benchmarks.job import Job
from benchmarks.measure import measure
from benchmarks.stand_ins import StandIns


def main() -> None:
    """Run the module and the job of the command line; print the cost in the last line."""
    name, text = sys.argv[1:]
    job = Job.from_text(text)
    client = importlib.import_module(f"benchmarks.clients.{name}")
    copy = client.prepare(job)
    copy(job.smallest())
    StandIns(*json.loads(os.environ["BENCHMARK_COUNTS"])).reset_counts()
    cost = measure(lambda: copy(job))
    sys.stdout.write(f"\n{json.dumps(asdict(cost))}\n")
    sys.stdout.flush()
    os._exit(0)  # obstore's runtime aborts now and then while Python tears down; what it copied is counted by the sink


main()
