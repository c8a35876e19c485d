"""The commands of ``airflow s3-azure`` and their options, as Airflow's parser takes them.

Every ``airflow`` command imports this module, so it imports nothing that Airflow's command line has not imported already. An
option is named after the operators' argument, and its value is read as theirs is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.cli.cli_config import ActionCommand, Arg, GroupCommand, lazy_load_command

if TYPE_CHECKING:
    from collections.abc import Iterable

COMMAND = "s3-azure"
_EXIT_CODES = "exit codes: 0 done; 1 failed; 2 wrong arguments, connections or limits; 130 stopped by Ctrl-C"


def get_commands() -> list[GroupCommand]:
    """Return the group of commands; Airflow's providers manager calls this."""
    return [
        GroupCommand(
            name=COMMAND,
            help="Copy from Amazon S3 to Azure Blob Storage",
            description="Copy from Amazon S3 to Azure Blob Storage, with Airflow's connections",
            subcommands=[_copy(), _preflight(), _plan(), _ledger(), _audit()],
        )
    ]


def _copy() -> ActionCommand:
    return _command(
        "copy",
        "airflow_s3_azure.cli.copy_command.copy",
        "Copy one object",
        "Copy one object: block by block, verified, nothing on disk. After Ctrl-C or a failure the same command resumes.",
        [
            _arg("source", help="s3://bucket/key", metavar="SOURCE"),
            _arg(
                "destination",
                help="https://account.blob.core.windows.net/container/blob, or container/blob in the account of the "
                "connection; a container, or a name that ends in a slash, is put before the key",
                metavar="DESTINATION",
            ),
            _option("s3-version-id", "a version to copy instead of the current one"),
            *_ENDPOINTS,
            *_COPYING,
        ],
    )


def _preflight() -> ActionCommand:
    return _command(
        "preflight",
        "airflow_s3_azure.cli.preflight_command.preflight",
        "Check what copies assume of a bucket and a container",
        "Check what copies assume of a bucket and a container, from this machine: permissions, TLS, clocks, checksums, "
        "conditional commits and more. Sends less than 12 MiB in about a minute, and removes it.",
        [
            _arg("source", help="s3://bucket/prefix of the keys to copy", metavar="SOURCE"),
            _arg("destination", help=_PLACE, metavar="DESTINATION"),
            _option("s3-key", "the object to read (default: the first one below the prefix)"),
            _flag("write-source", "also write one small object with a difficult key to the bucket, and delete it"),
            _option(
                "skip",
                "a check not to run, such as idle-connections; may be repeated",
                metavar="CHECK",
                action="append",
            ),
            *_ENDPOINTS,
        ],
    )


def _plan() -> ActionCommand:
    return _command(
        "plan",
        "airflow_s3_azure.cli.plan_command.plan",
        "Show what a sync would copy, and what it would cost",
        "Compare a bucket or a prefix with a container, as a sync does, and copy nothing. The manifest of the plan is in the "
        "container.",
        [
            _arg("source", help="s3://bucket/prefix", metavar="SOURCE"),
            _arg("destination", help=f"{_PLACE}; a prefix is put before each key", metavar="DESTINATION"),
            *_ENDPOINTS,
            *_PLANNING,
            _NO_OVERWRITE,
            _OVERWRITE_ARCHIVED,
            _BLOCK_SIZE,
            _ARCHIVED,
        ],
    )


def _ledger() -> ActionCommand:
    return _command(
        "ledger",
        "airflow_s3_azure.cli.ledger_command.ledger",
        "Show the totals of a run, and the keys that failed",
        "Show the totals of a run of a sync, and the keys of one status. CSV has the keys alone.",
        [
            _arg(
                "run",
                help="the ID of a DAG (its newest run), dag_id/run_id, or the URL of a ledger",
                metavar="RUN",
            ),
            _option("container-name", "the container; needed unless RUN is a URL"),
            _WASB_CONN_ID,
            _option(
                "status",
                "which keys to list (default: failed)",
                choices=("copied", "unchanged", "skipped", "failed", "deleted", "kept"),
            ),
        ],
    )


def _audit() -> ActionCommand:
    return _command(
        "audit",
        "airflow_s3_azure.cli.audit_command.audit",
        "Compare a container with what is recorded of it",
        "Compare a container with the ledgers of its syncs, or with the records on its blobs, without S3. An audit that is "
        "stopped begins again; the DAG s3_to_azure_audit resumes.",
        [
            _arg("destination", help=f"{_PLACE}: only blobs whose name begins with it", metavar="DESTINATION"),
            _WASB_CONN_ID,
            *_AUDITING,
        ],
    )


def _command(name: str, function: str, summary: str, description: str, arguments: Iterable[Arg]) -> ActionCommand:
    return ActionCommand(
        name=name,
        help=summary,
        description=description,
        func=lazy_load_command(function),
        args=(*arguments, *_SHOWING),
        epilog=_EXIT_CODES,
    )


def _option(name: str, description: str, **settings: Any) -> Arg:
    """Return an option; one that is not given is None, and the operators' default holds."""
    if "choices" not in settings:
        settings = {"metavar": name.rpartition("-")[2].upper(), **settings}
    return _arg(f"--{name}", help=description, **settings)


def _flag(name: str, description: str) -> Arg:
    return _arg(f"--{name}", help=description, action="store_true", default=None)


def _arg(*flags: str, **settings: Any) -> Arg:
    settings["help"] = settings["help"].replace("%", "%%")  # argparse expands it
    return Arg(flags, **settings)  # type: ignore[no-untyped-call]


_PLACE = "https://account.blob.core.windows.net/container/prefix, or container/prefix in the account of the connection"
_WASB_CONN_ID = _option("wasb-conn-id", "Airflow connection to Azure Blob Storage (default: wasb_default)")
_BLOCK_SIZE = _option("block-size", "bytes in a block, such as '8 MiB' (the default)")
_MAX_CONCURRENCY = _option(
    "max-concurrency", "blocks in flight at most, each in its own buffer (default: 8)", metavar="N"
)
_NO_OVERWRITE = _arg(
    "--no-overwrite",
    help="skip keys whose blob exists and differs",
    action="store_false",
    dest="overwrite",
    default=None,
)
_OVERWRITE_ARCHIVED = _flag("overwrite-archived", "replace blobs in the archive tier too; each is deleted first")
_ARCHIVED = _option("archived", "what becomes of archived objects", choices=("skip", "fail"))
_ENDPOINTS = (
    _option("aws-conn-id", "Airflow connection to S3; empty: boto3's default credentials (default: aws_default)"),
    _WASB_CONN_ID,
    _flag("create-container", "create the container if it is missing"),
    _flag("requester-pays", "agree to pay for a requester-pays bucket"),
)
_COPYING = (
    _option(
        "mode",
        "stream: through this machine (default); server_side: Azure reads from S3",
        choices=("stream", "server_side"),
    ),
    _BLOCK_SIZE,
    _MAX_CONCURRENCY,
    _option("max-bandwidth", "bytes per second to read from S3 at most, such as '50 MB'"),
    _NO_OVERWRITE,
    _OVERWRITE_ARCHIVED,
    _option(
        "verify",
        "auto: verify against the checksum S3 stored, if any (default); require: fail if there is none; read_back: also "
        "read resumed blocks back",
        choices=("auto", "require", "read_back"),
    ),
    _ARCHIVED,
    _flag("copy-tags", "copy the object's tags as blob index tags"),
    _option("access-tier", "of the new blob", choices=("Hot", "Cool", "Cold", "Archive")),
    _option("encryption-scope", "of the new blob"),
    _flag("discard-foreign-blocks", "discard blocks that another tool left staged, if no blob exists"),
)
_PLANNING = (
    _option(
        "keys",
        "where a list of the keys is, such as s3://bucket/keys.csv, instead of all under the prefix",
        metavar="URL",
    ),
    _option("day-folder", "how the day follows the prefix, such as %Y/%m/%d/", metavar="FORMAT"),
    _option("first-day", "such as 2026-11-22"),
    _option("last-day", "this day included"),
    _option("include", "glob over the whole key; may be given several times", action="append", metavar="GLOB"),
    _option("exclude", "glob over the whole key; may be given several times", action="append", metavar="GLOB"),
    _option("modified-since", "such as 2026-11-22T00:00:00+00:00", metavar="TIME"),
    _option("modified-before", "such as 2026-11-23T00:00:00+00:00", metavar="TIME"),
    _option("min-size", "only objects of at least this size, such as '1 MiB'"),
    _option("max-size", "only objects of at most this size"),
    _option("storage-classes", "such as STANDARD; may be given several times", action="append", metavar="CLASS"),
    _flag("require-keys", "fail if no key is selected"),
    _option("strip-prefix", "text to remove from the front of each key"),
    _option("blob-template", "of the blobs' names, such as 'landing/{last_modified:%Y/%m/%d}/{name}'"),
    _flag("rename", "percent-encode what Azure refuses in a name"),
    _option(
        "compare",
        "what makes a blob count as unchanged (default: etag)",
        choices=("etag", "checksum", "size", "always"),
    ),
    _option("egress-price-per-gib", "what a GiB out of S3 costs you, in any currency", metavar="PRICE"),
    _option("max-objects", "fail if there are more to copy", metavar="N"),
    _option("max-bytes", "fail if there are more to copy, such as '1 TiB'"),
    _option("delete", "extra: also plan to delete blobs whose key is gone", choices=("extra",)),
    _option("max-delete", "a number of blobs, or a share below 1, that may be deleted (default: 0.1)", metavar="N"),
    _option("batch-objects", "objects in one copy task at most", metavar="N"),
    _option("batch-size", "target number of bytes in one copy task"),
)
_AUDITING = (
    _option(
        "compare-with",
        "ledger: the ledgers of the container's syncs (default); records: the records on the blobs",
        choices=("ledger", "records"),
    ),
    _option("ledger", "the ID of a DAG, or dag_id/run_id (default: all syncs of the container)"),
    _option("runs", "which complete runs of each sync are the truth (default: newest)", choices=("newest", "all")),
    _option("files-digest", "of the one run that --ledger names, as its report returned it"),
    _flag("deep", "also read blobs back and compare their content"),
    _option("sample", "read only this share of the blobs, such as 0.01", metavar="SHARE"),
    _option("seed", "chooses the sample"),
    _option("nights", "read all blobs over this many nights", metavar="N"),
    _option("night", "which part of them, from 0", metavar="N"),
    _MAX_CONCURRENCY,
    _option("max-bandwidth", "bytes per second that are read at most, such as '50 MB'"),
)
_SHOWING = (
    _arg(
        "-o",
        "--output",
        help="format of the result on standard output (default: table)",
        choices=("table", "json", "csv"),
        default="table",
    ),
    _arg("-v", "--verbose", help="show the log", action="store_true"),
)
