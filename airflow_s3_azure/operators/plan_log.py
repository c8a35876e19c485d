"""What the log of a plan says of its totals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_s3_azure.engine.quoting import get_logger

if TYPE_CHECKING:
    from airflow_s3_azure.engine.options import Archived, CopyOptions
    from airflow_s3_azure.sync.plan_model import Plan

log = get_logger(__name__)


def log_totals(plan: Plan, url: str, *, dry_run: bool, price: float | None) -> None:
    """Log what a plan copies, replaces and deletes, what it costs, and its conflicts.

    :param url: of the plan's folder
    :param price: of a GiB of egress
    """
    from airflow_s3_azure.engine.progress import count_text, size_text
    from airflow_s3_azure.sync.cost import read_back_text
    from airflow_s3_azure.sync.plan_conflicts import conflict_texts

    log.info(
        "%s selected: %s to copy (%s, %s), %s unchanged, %s skipped",
        count_text(plan.objects, "key"),
        f"{plan.counts['copy']:,}",
        size_text(plan.size),
        count_text(len(plan.batches), "batch"),
        f"{plan.counts['unchanged']:,}",
        f"{plan.counts['skipped']:,}",
    )
    log.info("manifest and ledger: %s", url)
    cost = plan.cost.as_json(price)
    log.info(
        "cost: %s requests to S3, %s to Azure, %.3f GiB out of S3%s",
        f"{cost['s3_requests']:,}",
        f"{cost['azure_requests']:,}",
        cost["egress_gib"],
        "" if price is None else f" at {price:g} each: {cost['egress_price']:,.2f}",
    )
    if text := read_back_text(cost):
        log.info("%s", text)
    for text in conflict_texts(plan.conflicts.as_json()):
        log.warning("%s", text)
    if plan.replaced:
        log.warning("archived blobs that are deleted and replaced: %s", f"{plan.replaced:,}")
    if plan.orphaned:
        log.info("orphaned blobs (no S3 key): %s", count_text(plan.orphaned, "blob"))
    if plan.delete_refused:
        log.warning("no blob will be deleted: %s", plan.delete_refused)
    if dry_run:
        log.info("this is a dry run: nothing will be copied or deleted")


def archived_totals(plan: Plan, copy: CopyOptions, price: float | None) -> dict[str, Any]:
    """Return how many archived objects there are without a copy, their bytes, and how they are restored at what price.

    :param price: of the restore of a GiB
    """
    objects, size = plan.archived
    if copy.archived != "restore":
        return {"objects": objects, "size": size}
    total = None if price is None else round(size / 1024**3 * price, 2)
    return {"objects": objects, "size": size, "tier": copy.restore_tier, "days": copy.restore_days, "price": total}


def log_archived(archived: Mapping[str, Any], what: Archived) -> None:
    """Log what becomes of archived objects, if there are any.

    :param archived: their totals
    """
    from airflow_s3_azure.engine.progress import count_text, size_text

    if not archived["objects"]:
        return
    fate = "skipped" if what == "skip" else "to fail; restore them in S3, or set archived='skip' or 'restore'"
    if what == "restore":
        price = "" if archived["price"] is None else f" at a price of {archived['price']:,.2f}"
        fate = f"to be restored with tier {archived['tier']} for {count_text(archived['days'], 'day')}{price}"
    objects, size = count_text(archived["objects"], "object"), size_text(archived["size"])
    log.warning("archived objects without a copy: %s (%s), %s", objects, size, fate)
