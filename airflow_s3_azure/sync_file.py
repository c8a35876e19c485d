"""One DAG for each entry of a YAML file of syncs.

An entry that is invalid becomes a DAG too: with the entry's schedule, and one task that fails with the errors. So the other
entries run as ever, and the invalid one shows and alerts where its runs would.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from airflow.sdk import DAG, CronDataIntervalTimetable, task
from airflow.sdk.exceptions import AirflowFailException
from croniter import croniter
from jsonschema import Draft202012Validator, FormatChecker, ValidationError

from airflow_s3_azure.engine.errors import ConfigurationError
from airflow_s3_azure.sync_group import s3_to_azure_sync
from airflow_s3_azure.yaml_lines import YamlLines

__all__ = ["sync_dags"]

SCHEMA = Path(__file__).with_name("syncs.schema.json")
DAG_FIELDS = ("dag_id", "description", "schedule", "start_date", "catchup", "max_active_runs", "tags")
"""Fields of an entry that are no arguments of the sync."""
_START = "2026-01-01"
_DAG_ID = re.compile(r"[A-Za-z0-9_.-]{1,250}")


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong in a file.

    :param field: path of the field, such as ``syncs[3].block_size``
    """

    file: str
    line: int
    field: str
    message: str

    def __str__(self) -> str:
        return f"{self.file}, line {self.line}, {self.field}: {self.message}"


def sync_dags(path: str | Path) -> dict[str, DAG]:
    """Return the DAGs of a file by their IDs.

    :param path: of the YAML file; ``airflow_s3_azure/syncs.schema.json`` describes it
    :raises ConfigurationError: if it is no YAML file of syncs as a whole: then it has no DAG
    """
    name, lines = Path(path).name, _read(Path(path))
    document = lines.document
    problems = [_problem(name, lines, error) for error in _validator().iter_errors(document)]
    entries = document.get("syncs") if isinstance(document, dict) else None
    if fatal := [one for one in problems if not one.field.startswith("syncs[")]:
        raise ConfigurationError("\n".join(map(str, fatal)))
    dags: dict[str, DAG] = {}
    for number, entry in enumerate(entries or []):
        field = f"syncs[{number}]"
        own = [one for one in problems if one.field == field or one.field.startswith(f"{field}.")]
        fields = {**document.get("defaults", {}), **(entry if isinstance(entry, dict) else {})}
        own = own or [*_conflicts(name, lines, number, dags, fields)]
        dag = None if own else _dag_of(name, lines, number, fields, own)
        if dag is None:
            stem = re.sub(r"[^A-Za-z0-9_.-]", "_", Path(name).stem)[:200]
            dag = _failing_dag(f"{stem}_line_{lines.line(['syncs', number])}", dags, fields, own)
        dags[dag.dag_id] = dag
    return dags


def _read(path: Path) -> YamlLines:
    try:
        return YamlLines(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"{path.name} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"{path.name} is not UTF-8") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = 1 if mark is None else mark.line + 1
        raise ConfigurationError(
            f"{path.name}, line {line}: this is not YAML: {getattr(error, 'problem', None) or error}"
        ) from None


@cache
def _validator() -> Draft202012Validator:
    return Draft202012Validator(json.loads(SCHEMA.read_text()), format_checker=FormatChecker())


def _problem(name: str, lines: YamlLines, error: ValidationError) -> Problem:
    """Return an error of the schema with its file, line and field; of an unknown or missing field, that field."""
    path: list[str | int] = [*error.absolute_path]
    schema: Any = error.schema
    if error.validator == "additionalProperties":
        instance: Any = error.instance
        path.append(min(set(instance) - set(schema["properties"]), key=str))
        return Problem(name, lines.line(path), _field(path), "there is no such field")
    return Problem(name, lines.line(path), _field(path), error.message)


def _field(path: list[str | int]) -> str:
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return text.removeprefix(".") or "the file"


def _conflicts(
    name: str, lines: YamlLines, number: int, dags: Mapping[str, DAG], fields: Mapping[str, Any]
) -> Iterator[Problem]:
    """Yield what is wrong with an entry that the schema accepts, once it has the defaults."""
    path: list[str | int] = ["syncs", number]
    schedule = fields.get("schedule")
    if schedule is not None and not croniter.is_valid(schedule):
        where = [*path, "schedule"]
        yield Problem(
            name, lines.line(where), _field(where), f"{schedule!r} is no cron expression, such as '0 2 * * *'"
        )
    for needed in ("s3_bucket", "container_name"):
        if needed not in fields:
            message = f"neither it nor defaults has the field {needed!r}"
            yield Problem(name, lines.line(path), _field(path), message)
    if fields["dag_id"] in dags:
        path.append("dag_id")
        yield Problem(name, lines.line(path), _field(path), f"another entry has the dag_id {fields['dag_id']!r}")


def _dag_of(name: str, lines: YamlLines, number: int, fields: Mapping[str, Any], problems: list[Problem]) -> DAG | None:
    """Return the DAG of a valid entry; None, and the problem, if an argument's own check refuses it."""
    arguments = {key: value for key, value in fields.items() if key not in DAG_FIELDS}
    try:
        with DAG(fields["dag_id"], **_dag_arguments(fields)) as dag:  # noqa: AIR002 - it is among them
            s3_to_azure_sync(**arguments)
    except (ConfigurationError, ValueError, TypeError, ArithmeticError) as error:
        # The checks of an argument name it first.
        argument = str(error).partition(" ")[0]
        path: list[str | int] = ["syncs", number, *([argument] if argument in arguments else [])]
        problems.append(Problem(name, lines.line(path), _field(path), str(error)))
        return None
    return dag


def _failing_dag(dag_id: str, dags: Mapping[str, DAG], fields: Mapping[str, Any], problems: list[Problem]) -> DAG:
    """Return a DAG in the place of an invalid entry, whose only task fails with the problems.

    :param dag_id: its ID if the entry's own cannot be used
    """
    own = fields.get("dag_id")
    is_usable = isinstance(own, str) and _DAG_ID.fullmatch(own) is not None and own not in dags
    text = "\n".join(map(str, problems))
    is_dag_invalid = any(f".{name}" in problem.field for problem in problems for name in DAG_FIELDS[1:])
    arguments = _dag_arguments({} if is_dag_invalid else fields)
    arguments |= {"doc_md": f"### Invalid entry\n\n```\n{text}\n```", "tags": {"s3", "azure", "invalid"}}
    with DAG(str(own) if is_usable else dag_id, **arguments) as dag:  # noqa: AIR002 - it is among them

        @task(retries=0)
        def invalid() -> None:
            raise AirflowFailException(text)

        invalid()
    return dag


def _dag_arguments(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of a DAG, with the defaults of a nightly sync."""
    schedule = fields.get("schedule", "0 0 * * *")
    return {
        "description": fields.get("description"),
        "schedule": None if schedule is None else CronDataIntervalTimetable(schedule, timezone="UTC"),
        "start_date": datetime.fromisoformat(fields.get("start_date", _START)).replace(tzinfo=UTC),
        "catchup": bool(fields.get("catchup", False)),
        "max_active_runs": int(fields.get("max_active_runs", 1)),  # 2.0 is an integer of JSON
        "tags": {"s3", "azure", *fields.get("tags", ())},
    }
