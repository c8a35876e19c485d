"""This project, as a whole batch of a sync: manifest, copy, ledger, as ``S3ToAzureCopyBatchOperator`` does it."""

from __future__ import annotations

from datetime import UTC, datetime

from benchmarks.clients import Copy
from benchmarks.clients.ours import open_both
from benchmarks.job import Job


def prepare(job: Job) -> Copy:
    """Open source and destination, and make the plan of each job: planning is another task's work."""
    from airflow_s3_azure.engine.cancellation import Cancellation
    from airflow_s3_azure.engine.options import CopyOptions
    from airflow_s3_azure.sync.execution import BatchExecution
    from airflow_s3_azure.sync.ledger import ROOT, PlanFolder, folder_name
    from airflow_s3_azure.sync.listing import list_objects
    from airflow_s3_azure.sync.naming import Naming
    from airflow_s3_azure.sync.plan_model import Listing, PlanOptions
    from airflow_s3_azure.sync.planner import make_plan
    from airflow_s3_azure.sync.references import BatchReference
    from airflow_s3_azure.sync.select import Selection

    cancellation = Cancellation()
    opened = open_both(job, cancellation)

    def plan(one: Job) -> tuple[BatchReference, PlanFolder]:
        bucket, container = opened[one.container]
        folder = PlanFolder(container.client, f"{ROOT}/benchmark/{folder_name(datetime.now(UTC))}")
        options = PlanOptions(Selection(), Naming(), max_batches=1)
        source = Listing(lambda: list_objects(bucket.source))
        made = make_plan(source, Listing(lambda: iter(())), options, folder)
        (reference,) = made.batches
        return reference, folder

    planned = {one.container: plan(one) for one in (job, job.smallest())}

    def copy(one: Job) -> None:
        bucket, container = opened[one.container]
        run = BatchExecution(*planned[one.container], try_number=1)
        options = CopyOptions(block_size=one.block_size, max_concurrency=one.connections)
        run.copy(bucket.source, container.blobs, options, cancellation)
        run.raise_failures()

    return copy
