"""Programs from Debian's packages: `python3 -m tests.servers.debian` gets what the machine lacks, or `… curl` one of them.

It unpacks the packages, and what they depend on that is not installed, below `.tools/debian`. So it needs no root, and
changes nothing of the machine: apt's lists and downloads are kept there too. Needs apt-get, and Python alone.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

_HOME = Path(__file__).parents[2] / ".tools" / "debian"
_ROOT = _HOME / "root"
_PACKAGES = {
    "postgres": "postgresql",
    "initdb": "postgresql",
    "redis-server": "redis-server",
    "prometheus": "prometheus",
    "promtool": "prometheus",
    "curl": "curl",
}
"""What each program comes with."""


def program(name: str) -> Path:
    """Return where a program is: what is installed wins.

    :raises FileNotFoundError: if it is nowhere
    """
    for root in (Path("/"), _ROOT):
        folders = [*sorted(root.glob("usr/lib/postgresql/*/bin"), reverse=True), root / "usr" / "bin"]
        if found := shutil.which(name, path=os.pathsep.join(map(str, folders))):
            return Path(found)
    raise FileNotFoundError(f"{name} is not installed: run `python3 -m tests.servers.debian`")


def libraries() -> Mapping[str, str]:
    """Return the environment in which a program finds the libraries that were unpacked with it."""
    folders = [str(folder) for lib in ("usr/lib", "lib") for folder in sorted(_ROOT.glob(f"{lib}/*-linux-gnu"))]
    return {"LD_LIBRARY_PATH": os.pathsep.join(folders)} if folders else {}


def main() -> int:
    """Get the programs that are missing, of those named on the command line or of all; return the exit status."""
    if unknown := [name for name in sys.argv[1:] if name not in _PACKAGES]:
        print(f"{', '.join(unknown)}: unknown; choose from {', '.join(_PACKAGES)}", file=sys.stderr)  # noqa: T201
        return 2
    wanted = {name: _PACKAGES[name] for name in sys.argv[1:] or _PACKAGES}
    packages = sorted({package for name, package in wanted.items() if not is_there(name)})
    if not packages:
        print(f"{', '.join(sorted(set(wanted.values())))}: up to date")  # noqa: T201
        return 0
    try:
        _unpack(packages)
    except (OSError, subprocess.CalledProcessError) as error:
        output = getattr(error, "stdout", None) or error
        print(f"could not unpack {', '.join(packages)}; install them yourself:\n{output}", file=sys.stderr)  # noqa: T201
        return 1
    print(f"unpacked into {_ROOT}: {', '.join(packages)}")  # noqa: T201
    return 0


def is_there(name: str) -> bool:
    """Return whether a program is installed."""
    try:
        program(name)
    except FileNotFoundError:
        return False
    return True


def _unpack(packages: list[str]) -> None:
    lists, archives = _HOME / "lists", _HOME / "cache" / "archives"
    for folder in (lists, archives):
        (folder / "partial").mkdir(parents=True, exist_ok=True)
    own = {"Dir::State::lists": lists, "Dir::Cache": _HOME / "cache", "Debug::NoLocking": "1"}
    apt = ["apt-get", "-qq", *(f"-o{name}={value}" for name, value in own.items())]
    _run([*apt, "update"])
    _run([*apt, "--yes", "--no-install-recommends", "--download-only", "install", *packages])
    for package in sorted(archives.glob("*.deb")):
        _run(["dpkg", "-x", str(package), str(_ROOT)])


def _run(command: list[str]) -> None:
    subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


if __name__ == "__main__":
    sys.exit(main())
