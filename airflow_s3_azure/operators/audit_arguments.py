"""The arguments of an audit."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from airflow_s3_azure.engine.errors import ConfigurationError
from airflow_s3_azure.engine.options import DEFAULT_CONCURRENCY
from airflow_s3_azure.sync.audit.truth import CompareWith, Runs

if TYPE_CHECKING:
    from airflow_s3_azure.sync.audit.auditor import AuditOptions
    from airflow_s3_azure.sync.audit.sampling import Sampling


@dataclass(frozen=True, slots=True)
class AuditArguments:
    """The flat arguments of an audit, described at :class:`airflow_s3_azure.operators.audit.S3ToAzureAuditOperator`."""

    container_name: str
    wasb_conn_id: str = "wasb_default"
    compare_with: CompareWith = "ledger"
    ledger: str = ""
    runs: Runs = "newest"
    files_digest: str = ""
    blob_prefix: str = ""
    deep: bool = False
    sample: float | None = None
    seed: str = ""
    nights: int | None = None
    night: int | None = None
    max_concurrency: int = DEFAULT_CONCURRENCY
    max_bandwidth: float | None = None

    def audit_options(self, run_id: str, day: date) -> AuditOptions:
        """Return what is audited.

        :param run_id: the seed of a sample, unless there is another
        :param day: of the run, whose number is the night, unless there is another
        :raises ConfigurationError: if arguments exclude each other
        """
        from airflow_s3_azure.sync.audit.auditor import AuditOptions

        sampling = self._sampling(run_id, day)
        return AuditOptions(self.compare_with, self.ledger, self.runs, self.files_digest, self.blob_prefix, sampling)

    def _sampling(self, run_id: str, day: date) -> Sampling | None:
        from airflow_s3_azure.sync.audit.sampling import Sampling

        if not self.deep:
            for name in ("sample", "nights"):
                if getattr(self, name) is not None:
                    raise ConfigurationError(f"{name} is {getattr(self, name)}, but nothing is read: set deep=True")
            return None
        if self.sample is not None and self.nights is not None:
            raise ConfigurationError(
                f"sample is {self.sample} and nights is {self.nights}; give one of them: a random share of the blobs, or "
                "all of them over several nights"
            )
        if self.night is not None and self.nights is None:
            raise ConfigurationError(f"night is {self.night}, but nights is not given: over how many nights?")
        if self.sample is not None:
            return Sampling.of_share(self.sample, self.seed or run_id)
        if self.nights is not None:
            return Sampling.of_night(day.toordinal() if self.night is None else self.night, self.nights)
        return Sampling()
