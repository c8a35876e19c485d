"""The options of a plan: selection, naming, comparison, limits and batches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

from airflow_s3_azure.engine.errors import ConfigurationError
from airflow_s3_azure.operators.key_list import check_key_list
from airflow_s3_azure.sync.batch import DEFAULT_BATCH_OBJECTS, DEFAULT_BATCH_SIZE, MAX_BATCHES
from airflow_s3_azure.sync.compare_modes import Compare
from airflow_s3_azure.sync.keys.key_entry import KeyEntry

if TYPE_CHECKING:
    from airflow_s3_azure.engine.options import CopyOptions
    from airflow_s3_azure.sync.days import DayRange
    from airflow_s3_azure.sync.naming import Naming
    from airflow_s3_azure.sync.plan_model import PlanOptions


@dataclass(frozen=True, slots=True)
class PlanArguments:
    """The flat arguments of a plan, described at :func:`airflow_s3_azure.sync_group.s3_to_azure_sync`."""

    s3_prefix: str = ""
    keys: str | Sequence[KeyEntry] = ""
    day_folder: str = ""
    first_day: date | None = None
    last_day: date | None = None
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    modified_since: datetime | None = None
    modified_before: datetime | None = None
    lookback: timedelta = timedelta(0)
    min_size: int = 0
    max_size: int | None = None
    storage_classes: tuple[str, ...] = ()
    require_keys: bool = False
    preflight: bool = True
    blob_prefix: str = ""
    strip_prefix: str = ""
    blob_template: str = ""
    rename: bool = False
    compare: Compare = "etag"
    is_dry_run: bool = False
    egress_price_per_gib: float | None = None
    restore_price_per_gib: float | None = None
    max_objects: int | None = None
    max_bytes: int | None = None
    delete: str | None = None
    max_delete: float = 0.1
    batch_objects: int = DEFAULT_BATCH_OBJECTS
    batch_size: int = DEFAULT_BATCH_SIZE

    def plan_options(self, copy: CopyOptions, *, max_batches: int) -> PlanOptions:
        """Return the options of the plan.

        :param copy: the options of the copy
        :raises ConfigurationError: if arguments exclude each other
        """
        from airflow_s3_azure.sync.budget import Budget
        from airflow_s3_azure.sync.naming import Naming
        from airflow_s3_azure.sync.plan_model import PlanOptions
        from airflow_s3_azure.sync.select import Selection

        if not self.s3_prefix.startswith(self.strip_prefix):
            raise ConfigurationError(
                f"strip_prefix {self.strip_prefix!r} is not the beginning of s3_prefix {self.s3_prefix!r}, so there "
                "can be keys that do not begin with it"
            )
        naming = Naming(
            blob_prefix=self.blob_prefix,
            strip_prefix=self.strip_prefix,
            template=self.blob_template,
            rename=self.rename,
        )
        days = self._days()
        if self.delete:
            check_key_list(self.keys, delete=self.delete)
            self._check_deletion(naming, days)
        return PlanOptions(
            selection=Selection(
                include=self.include,
                exclude=self.exclude,
                modified_since=self.modified_since - self.lookback if self.modified_since else None,
                modified_before=self.modified_before,
                min_size=self.min_size,
                max_size=self.max_size,
                storage_classes=self.storage_classes,
                days=days,
            ),
            naming=naming,
            prefix=self.s3_prefix if days is None else days.shared_prefix,
            compare=self.compare,
            overwrite=copy.overwrite,
            overwrite_archived=copy.overwrite_archived,
            archived=copy.archived,
            delete=self.delete is not None,
            budget=Budget(max_objects=self.max_objects, max_bytes=self.max_bytes, max_delete=self.max_delete),
            batch_objects=self.batch_objects,
            batch_size=self.batch_size,
            max_batches=max_batches,
            block_size=copy.block_size,
        )

    def _days(self) -> DayRange | None:
        from airflow_s3_azure.sync.days import DayRange

        if self.day_folder:
            return DayRange(self.s3_prefix, self.day_folder, self.first_day, self.last_day)
        if self.first_day or self.last_day:
            raise ConfigurationError("first_day or last_day is given, but no day_folder that locates the day in a key")
        return None

    def _check_deletion(self, naming: Naming, days: DayRange | None) -> None:
        prefix = self.s3_prefix if days is None else days.shared_prefix
        if not naming.separates(prefix):
            raise ConfigurationError(
                f"with blob_template {self.blob_template!r} blobs of keys outside the prefix {prefix!r} could be "
                "deleted; begin the template's fields with {key}, or with {folder} and end s3_prefix with a slash, or "
                "leave delete out"
            )


def max_batches() -> int:
    """Return how many batches the copy task can be mapped over: Airflow's ``[core] max_map_length``, at most 1,000."""
    from airflow.sdk.configuration import conf

    return min(MAX_BATCHES, int(conf.getint("core", "max_map_length", fallback=MAX_BATCHES)))
