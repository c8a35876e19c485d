"""List known vulnerabilities: `python3 -m tests.versions.audit`. It fails if there is one that a newer release fixes.

pip-audit checks what `uv.lock` installs for users and developers, and the floors of the libraries that this package
speaks HTTP with. npm checks what Azurite brings. LocalStack's environment is not checked, nor are those of other stores: they pin them, and
run in tests only. A source that cannot be reached is a failure: silence would read as safety.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.versions.__main__ import ROOT, floors

ENVIRONMENT = ROOT / "tests" / "servers" / "environment"
HTTP_LIBRARIES = ("azure-core", "azure-storage-blob", "requests", "urllib3")
"""Other floors, as that of Airflow itself, are what old deployments have: their vulnerabilities are not ours to fix."""


def main() -> int:
    """Print what was found; return the exit status."""
    with tempfile.TemporaryDirectory() as folder:
        locked, lowest = Path(folder) / "locked.txt", Path(folder) / "lowest.txt"
        export = ("export", "--quiet", "--locked", "--no-emit-project", "--all-extras", "--output-file", str(locked))
        subprocess.run([os.environ.get("UV", "uv"), *export], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        lowest.write_text("\n".join(one for one in floors() if one.partition("==")[0] in HTTP_LIBRARIES))
        found = [
            *(f"locked: {one}" for one in pip_problems(_pip_audit("--require-hashes", "--requirement", str(locked)))),
            *(f"floor: {one}" for one in pip_problems(_pip_audit("--no-deps", "--requirement", str(lowest)))),
        ]
    found += [f"Azurite: {one}" for one in npm_problems(_npm_audit())]
    print("\n".join(found) or "no known vulnerability that a release fixes")  # noqa: T201
    return 1 if found else 0


def pip_problems(report: dict[str, Any]) -> Iterator[str]:
    """Yield pip-audit's vulnerabilities with a fix, and the packages that it could not check."""
    for package in report["dependencies"]:
        if "skip_reason" in package:
            yield f"{package['name']}: not checked: {package['skip_reason']}"
            continue
        for one in package["vulns"]:
            if one["fix_versions"]:
                yield f"{package['name']} {package['version']}: {one['id']}, fixed in {', '.join(one['fix_versions'])}"


def npm_problems(report: dict[str, Any]) -> Iterator[str]:
    """Yield what `npm audit` reports of vulnerabilities with a fix, or why it could not check them."""
    if "vulnerabilities" not in report:
        yield f"not checked: {report.get('message') or report.get('error') or 'npm reported nothing'}"
        return
    for name, one in report["vulnerabilities"].items():
        if one["fixAvailable"]:
            yield f"{name} {one['range']}: {one['severity']}"


def _pip_audit(*options: str) -> dict[str, Any]:
    environment = os.environ | {"UV_PROJECT_ENVIRONMENT": str(ROOT / ".tools" / "audit")}
    command = [os.environ.get("UV", "uv"), "run", "--quiet", "--locked", "--only-group", "audit", "pip-audit"]
    command += ["--disable-pip", "--format", "json", "--progress-spinner", "off", *options]
    # It ends with 1 where it found something.
    return _json(subprocess.run(command, cwd=ROOT, env=environment, check=False, capture_output=True, text=True))


def _npm_audit() -> dict[str, Any]:
    command = ["npm", "audit", "--json", "--package-lock-only", "--omit=dev"]
    return _json(subprocess.run(command, cwd=ENVIRONMENT, check=False, capture_output=True, text=True))


def _json(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    try:
        report: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        raise SystemExit(f"{' '.join(done.args)} ended with {done.returncode}:\n{done.stderr}") from None
    return report


if __name__ == "__main__":
    sys.exit(main())
