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
            subcommands=[_copy(), _preflight()],
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
            _arg(
                "destination",
                help="https://account.blob.core.windows.net/container/prefix, or container/prefix in the account of the "
                "connection",
                metavar="DESTINATION",
            ),
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
    return Arg(flags, **settings)  # type: ignore[no-untyped-call]


_ENDPOINTS = (
    _option("aws-conn-id", "Airflow connection to S3; empty: boto3's default credentials (default: aws_default)"),
    _option("wasb-conn-id", "Airflow connection to Azure Blob Storage (default: wasb_default)"),
    _flag("create-container", "create the container if it is missing"),
    _flag("requester-pays", "agree to pay for a requester-pays bucket"),
)
_COPYING = (
    _option(
        "mode",
        "stream: through this machine (default); server_side: Azure reads from S3",
        choices=("stream", "server_side"),
    ),
    _option("block-size", "bytes in a block, such as '8 MiB' (the default)"),
    _option("max-concurrency", "blocks in flight at most, each in its own buffer (default: 8)", metavar="BLOCKS"),
    _option("max-bandwidth", "bytes per second to read from S3 at most, such as '50 MB'"),
    _arg(
        "--no-overwrite",
        help="skip an object whose blob exists and differs",
        action="store_false",
        dest="overwrite",
        default=None,
    ),
    _option(
        "verify",
        "auto: verify against the checksum S3 stored, if any (default); require: fail if there is none; read_back: also "
        "read resumed blocks back",
        choices=("auto", "require", "read_back"),
    ),
    _flag("copy-tags", "copy the object's tags as blob index tags"),
    _option("access-tier", "of the new blob", choices=("Hot", "Cool", "Cold", "Archive")),
    _flag("discard-foreign-blocks", "discard blocks that another tool left staged, if no blob exists"),
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
