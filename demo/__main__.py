"""`python -m demo`: exit code 0 on success, 1 with one message on failure, 130 after Ctrl-C. All servers are stopped."""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import tempfile
import traceback
from pathlib import Path
from typing import NoReturn

import requests

from demo.nightly import RunFailed
from demo.screen import Screen
from demo.story import Demo, DemoError
from tests.servers import ServerError

_INTERRUPTED = 128 + signal.SIGINT
_HINT = (
    "Next: `make demo KEEP=1` keeps everything running: open Airflow, and paste the connections that it prints into "
    "your own shell. docs/tutorial/first-copy.md begins there."
)


def main() -> int:
    """Run the demo; return its exit code."""
    options = _options()
    try:
        directory = _make_directory(options.directory)
    except OSError as error:
        return _failed(f"{error.filename or tempfile.gettempdir()} cannot be used: {error.strerror}")
    _ignore_local_configuration()
    signal.signal(signal.SIGTERM, _interrupt)
    code = _run(directory, keep=options.keep)
    if code == 1:
        print(f"All servers are stopped; their logs are in {directory}", file=sys.stderr)
    elif options.directory is None:
        shutil.rmtree(directory, ignore_errors=True)
    return code


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m demo", description="Run a nightly sync on real servers, twice.")
    parser.add_argument("--keep", action="store_true", help="keep all servers running at the end, until Ctrl-C")
    parser.add_argument(
        "--directory",
        type=Path,
        metavar="DIR",
        help="an empty directory for the servers' files, which is kept; default: a temporary one, kept only on failure",
    )
    return parser.parse_args()


def _make_directory(wanted: Path | None) -> Path:
    if wanted is None:
        return Path(tempfile.mkdtemp(prefix="s3-to-azure-demo-"))
    wanted.mkdir(parents=True, exist_ok=True)
    if any(wanted.iterdir()):
        raise OSError(None, "it is not empty", str(wanted))
    return wanted.resolve()


def _ignore_local_configuration() -> None:
    """Ignore the user's AWS profile and proxies, so that the demo reaches its own servers."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    os.environ |= {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
    os.environ |= {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def _run(directory: Path, *, keep: bool) -> int:
    try:
        demo = Demo(directory, Screen())
        with demo:
            demo.run()
            if keep:
                demo.keep()
        demo.end(hint="" if keep else _HINT)
    except KeyboardInterrupt:
        print("Cancelled.", file=sys.stderr)
        return _INTERRUPTED
    except (DemoError, RunFailed, ServerError) as error:
        return _failed(str(error))
    except requests.RequestException as error:
        return _failed(f"Airflow does not respond: {error}\nlog: {directory / 'airflow.log'}")
    except Exception as error:
        log = directory / "demo.log"
        log.write_text(traceback.format_exc())
        return _failed(f"{type(error).__name__}: {error}\ntraceback: {log}")
    return 0


def _failed(what: str) -> int:
    print(f"\nThe demo failed: {what}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
