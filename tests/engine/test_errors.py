"""The tree of errors: their messages, and which are retryable."""

from __future__ import annotations

import json

import pytest

from airflow_s3_azure.engine import errors
from airflow_s3_azure.engine.azure.service_errors import PreconditionFailed
from airflow_s3_azure.engine.errors import (
    MAX_FIRST_LINE,
    BatchChanged,
    BatchFailed,
    Cancelled,
    ConfigurationError,
    DestinationAccessDenied,
    DestinationConflict,
    DestinationWriteError,
    IntegrityError,
    PlanError,
    S3ToAzureError,
    SliceEnded,
    SourceAccessDenied,
    SourceArchived,
    SourceChanged,
    SourceNotFound,
    SourceReadError,
    SourceUnreachable,
    TransferError,
    error_as_json,
    error_from_json,
    short_first_line,
)

RETRYABLE = [SourceChanged, SourceReadError, DestinationWriteError, IntegrityError]
FINAL = [
    SourceNotFound,
    SourceArchived,
    SourceAccessDenied,
    SourceUnreachable,
    DestinationAccessDenied,
    DestinationConflict,
]


@pytest.mark.parametrize("kind", [Cancelled, SliceEnded, *RETRYABLE])
def test_what_may_pass_is_retryable(kind: type[S3ToAzureError]) -> None:
    """A later try of the task can succeed."""
    assert kind("it failed").retryable


@pytest.mark.parametrize("kind", [ConfigurationError, PlanError, *FINAL])
def test_what_cannot_pass_is_not_retryable(kind: type[S3ToAzureError]) -> None:
    """Something must be changed first."""
    assert not kind("it failed").retryable


@pytest.mark.parametrize("kind", [*RETRYABLE, *FINAL])
def test_errors_of_one_object_are_transfer_errors(kind: type[S3ToAzureError]) -> None:
    """They become a result and do not stop the other objects."""
    assert issubclass(kind, TransferError)


@pytest.mark.parametrize("kind", [ConfigurationError, PlanError, Cancelled, SliceEnded, BatchFailed])
def test_errors_of_more_than_one_object_are_no_transfer_errors(kind: type[S3ToAzureError]) -> None:
    """They end the task."""
    assert not issubclass(kind, TransferError)


def test_every_error_is_in_the_drawn_tree() -> None:
    """The module's docstring names each class that the module has."""
    kinds = {name for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, Exception)}

    assert errors.__doc__ is not None
    assert {name for name in kinds if name not in errors.__doc__} == set()


@pytest.mark.parametrize(
    ("key", "blob", "text"),
    [
        (None, None, "it failed"),
        ("s3://b/k", None, "it failed ('s3://b/k')"),
        (None, "https://a/c/k", "it failed ('https://a/c/k')"),
        ("s3://b/k", "https://a/c/k", "it failed ('s3://b/k' -> 'https://a/c/k')"),
    ],
)
def test_a_transfer_error_names_key_and_blob(key: str | None, blob: str | None, text: str) -> None:
    """After the cause, which is what a list of errors shows of it."""
    assert str(TransferError("it failed", key=key, blob=blob)) == text


def test_long_names_are_on_the_next_line() -> None:
    """The first line is the cause alone where names would make it longer than 200 characters."""
    error = TransferError("it failed", key="s3://b/" + "k" * 200)

    assert str(error).splitlines() == ["it failed", f"  ('s3://b/{'k' * 200}')"]


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("short", ["short"]),
        ("a" * 100 + "; " + "b" * 150, ["a" * 100 + ";", "  " + "b" * 150]),
        ("a" * 100 + " (" + "b" * 150 + ")", ["a" * 100, "  (" + "b" * 150 + ")"]),
        ("a " * 150, ["a " * 99 + "a", "  " + "a " * 50]),
        ("a" * 201, ["a" * 200, "  a"]),
        ("a\n" + "b" * 300, ["a", "b" * 300]),
    ],
)
def test_a_first_line_is_short(text: str, lines: list[str]) -> None:
    """It is broken where a clause ends, and nothing is lost."""
    assert short_first_line(text).splitlines() == lines


@pytest.mark.parametrize("kind", [ConfigurationError, SourceReadError, DestinationAccessDenied])
def test_the_first_line_of_an_error_is_short_with_its_class_before_it(kind: type[S3ToAzureError]) -> None:
    """Retried or not: Airflow shows the class before the text."""
    error = kind("a cause of some length, in which nothing can be broken off; " * 5)

    first, *details = f"{kind.__name__}: {error}".splitlines()

    assert len(first) <= MAX_FIRST_LINE
    assert first.endswith(";")
    assert len(details) == 1


def test_a_batch_quotes_each_error_as_one_line() -> None:
    """Although errors with long names have two."""
    error = TransferError("it failed", key="s3://b/" + "k" * 200)

    text = str(BatchFailed(2, 1, [str(error)], retryable=True))

    assert text.splitlines()[1:] == [f"  it failed ('s3://b/{'k' * 200}')"]


def test_a_key_cannot_forge_a_line_of_the_log() -> None:
    """A newline in a key is shown, not obeyed."""
    error = TransferError("it failed", key="s3://b/k\n2026-01-01 INFO all is well")

    assert str(error).splitlines() == ["it failed ('s3://b/k\\n2026-01-01 INFO all is well')"]


def test_an_endpoint_that_is_set_later_is_in_the_message() -> None:
    """The copy adds the key or the blob that the failing layer does not know."""
    error = TransferError("it failed", key="s3://b/k")

    error.blob = "https://a/c/k"

    assert str(error) == "it failed ('s3://b/k' -> 'https://a/c/k')"


def test_the_services_request_ids_end_the_message() -> None:
    """The service's support needs them, so they reach log and ledger with the error."""
    error = TransferError("it failed", key="s3://b/k", request_id="4442587FB7D0A2F9, id2 vlR7PnpV2Ce")

    assert str(error) == "it failed ('s3://b/k'; request 4442587FB7D0A2F9, id2 vlR7PnpV2Ce)"


def test_an_error_of_a_version_without_request_ids_is_read() -> None:
    """The field was added later; a trigger of the earlier version may still be running."""
    stored = error_as_json(TransferError("it failed", key="s3://b/k"))
    del stored["request_id"]

    assert str(error_from_json(stored)) == "it failed ('s3://b/k')"


def test_a_failed_batch_quotes_its_errors() -> None:
    """Each error is a line, after how many of how many failed; the list is truncated, with the count of omitted errors."""
    error = BatchFailed(1200, 5, [f"SourceNotFound: gone {number}" for number in range(2)], retryable=True)

    assert error.retryable
    assert str(error).splitlines() == [
        "5 of 1,200 objects could not be copied:",
        "  SourceNotFound: gone 0",
        "  SourceNotFound: gone 1",
        "  … and 3 more, in the ledger",
    ]


def test_one_errors_verdict_can_be_changed_without_changing_its_kind() -> None:
    """A mismatch in freshly read blocks is final for that copy alone."""
    error = IntegrityError("they differ")

    error.retryable = False

    assert (error.retryable, IntegrityError("they differ").retryable) == (False, True)


@pytest.mark.parametrize(
    "error",
    [
        IntegrityError("it differs", key="s3://b/k", blob="https://a/c/b", retryable=False),
        SourceChanged("it changed", key="s3://b/k", request_id="4442587FB7D0A2F9"),
        ConfigurationError("it is wrong"),
        Cancelled("stopped"),
        BatchFailed(3, 2, ["one", "two"], retryable=True),
        BatchChanged(3, 1, ["one"], retryable=True),
    ],
)
def test_an_error_travels_to_another_process(error: S3ToAzureError) -> None:
    """As JSON, with the same message."""
    travelled = error_from_json(json.loads(json.dumps(error_as_json(error))))

    assert type(travelled) is type(error)
    assert (str(travelled), travelled.retryable) == (str(error), error.retryable)


def test_an_error_of_a_private_class_travels_as_its_nearest_public_one() -> None:
    """A module's private kind need not be known elsewhere."""
    assert type(error_from_json(error_as_json(PreconditionFailed("someone wrote it")))) is DestinationConflict
