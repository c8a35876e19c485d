"""Peak memory and disk writes of a copy, which do not depend on the object's size: a bound, not an average.

`python -m benchmarks.memory` copies one object through the engine, as the operators do, and ends with 1 if the peak
over the imports is more than max_concurrency x block_size + 40 MiB, or if a byte was written to disk. The object and
the blob are two stand-ins in processes of their own, so that their memory does not count: a source that makes up its
bytes as they are requested, and a sink that checks each block's CRC and drops it. Both are behind the shaped link:
where nothing is waited for, a copy keeps two blocks in flight, and no more. Linux only.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile

from airflow_s3_azure.engine.blocks import MIB
from benchmarks.cases import TO_SINK, TO_SOURCE
from benchmarks.clients.ours import prepare
from benchmarks.job import Job
from benchmarks.link import linked
from benchmarks.measure import Cost, measure
from benchmarks.stand_ins import stand_ins

GIB = 1024 * MIB
OVERHEAD = 40 * MIB
"""Bytes of memory beside the blocks."""
CONTAINER = "container"


def cost_of_copy(size: int, *, max_concurrency: int, block_size: int) -> Cost:
    """Copy an object of ``size`` bytes over the link, through Airflow's connections and both hooks; return its cost."""
    with (
        tempfile.TemporaryDirectory() as home,
        stand_ins(check=True) as near,
        linked(near, TO_SOURCE, TO_SINK) as servers,
    ):
        os.environ.update(servers.airflow_connections(), AIRFLOW_HOME=home, AIRFLOW__LOGGING__LOGGING_LEVEL="WARNING")
        job = Job(servers.source, servers.sink, CONTAINER, 1, size, max_concurrency, block_size)
        for one in (job, job.smallest()):
            near.create_container(one.container)
        copy = prepare(job)
        copy(job.smallest())  # imports at first use are not a copy's memory
        return measure(lambda: copy(job))


def main() -> int:
    """Measure and print; return 1 if a bound does not hold."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.memory", description="Memory and disk of a copy.")
    parser.add_argument("--size-gib", type=float, default=2.0)
    parser.add_argument("--concurrency", type=int, default=8)
    parser.add_argument("--block-mib", type=int, default=8)
    given = parser.parse_args()
    size, blocks = int(given.size_gib * GIB), given.concurrency * given.block_mib * MIB
    cost = cost_of_copy(size, max_concurrency=given.concurrency, block_size=given.block_mib * MIB)
    holds = cost.memory <= blocks + OVERHEAD and cost.written == 0
    report = (
        f"copied {size / GIB:g} GiB, {given.concurrency} blocks of {given.block_mib} MiB at a time: "
        f"{size / MIB / cost.seconds:,.0f} MiB/s, {cost.cpu / size * GIB:.2f} CPU-seconds per GiB\n"
        f"peak memory over the imports: {cost.memory / MIB:.1f} MiB; allowed: {(blocks + OVERHEAD) / MIB:.1f} MiB\n"
        f"written to disk: {cost.written:,} bytes; allowed: 0\n"
        f"{'both bounds hold' if holds else 'A BOUND IS BROKEN'}\n"
    )
    sys.stdout.write(report)
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
