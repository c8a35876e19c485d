"""Check all of a release that can be checked offline: `python -m tests.release`.

The distributions are built twice and compared, their metadata and the workflows are checked, and an example DAG of the
wheel runs in an environment that has the wheel and what it needs, and nothing else. `uv` is named by the environment
variable UV. The distributions are in dist/.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from airflow_s3_azure import __version__
from tests.servers import AzureServer, S3Server
from tests.servers.process import child_environment

ROOT = Path(__file__).parent.parent.parent
DIST = ROOT / "dist"
TOOLS = ROOT / ".tools" / "release" / "bin"
NEWEST = ROOT / "tests" / "versions" / "newest.txt"
KEY = "exports/2026/11/21/orders.csv"
BODY = b"order,price\n1,2.50\n" * 1000


class CheckFailed(Exception):
    """A release must not be made of this."""


def main() -> int:
    """Run all checks; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.release")
    parser.add_argument("--constraint", default=str(NEWEST), help="versions of what the wheel needs: a file or a URL")
    parser.add_argument("--tag", help="the tag that is released: version and changelog must have its number")
    options = parser.parse_args()
    try:
        if options.tag:
            check_tag(options.tag)
        wheel = build_twice()
        check_metadata()
        check_workflows()
        run_example(wheel, options.constraint)
    except (CheckFailed, subprocess.CalledProcessError) as error:
        print(f"release-check: {error}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


def check_tag(tag: str) -> None:
    """Check that a tag such as v0.1.0 is that of the version, and that the changelog has its section.

    :raises CheckFailed: if not
    """
    if tag != f"v{__version__}":
        raise CheckFailed(f"the tag is {tag}, but the version is {__version__}; tag v{__version__}")
    if not re.search(
        rf"^## \[{re.escape(__version__)}\] - \d{{4}}-\d\d-\d\d$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE
    ):
        raise CheckFailed(f"CHANGELOG.md has no section '## [{__version__}] - <date>'; rename Unreleased")


def build_twice() -> Path:
    """Build wheel and source distribution into dist/; return the wheel.

    :raises CheckFailed: if a second build differs
    """
    with tempfile.TemporaryDirectory(prefix="s3-azure-release-") as folder:
        again = _build(Path(folder))
        for old in _distributions(DIST):
            old.unlink()
        first = _build(DIST)
    if first != again:
        raise CheckFailed(f"two builds of one commit differ: {first} and {again}")
    for name, digest in first.items():
        _log(f"built twice, equal: {digest[:16]}… {name}")
    (wheel,) = DIST.glob("*.whl")
    return wheel


def _build(folder: Path) -> dict[str, str]:
    """Build into a folder; return the SHA-256 of each distribution."""
    commit_time = subprocess.run(
        ["git", "log", "-1", "--format=%ct"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.strip()
    environment = os.environ | {"SOURCE_DATE_EPOCH": commit_time}
    _run(_uv("build", "--quiet", "--out-dir", str(folder), str(ROOT)), env=environment)
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in _distributions(folder)}


def _distributions(folder: Path) -> list[Path]:
    return sorted([*folder.glob("*.whl"), *folder.glob("*.tar.gz")])


def check_metadata() -> None:
    """Check that PyPI takes the metadata and renders the long description."""
    _run([str(TOOLS / "twine"), "check", "--strict", *map(str, _distributions(DIST))])


def check_workflows() -> None:
    """Check the syntax and the security of what runs on GitHub."""
    workflows = sorted(map(str, (ROOT / ".github" / "workflows").glob("*.yml")))
    schema = [str(TOOLS / "check-jsonschema"), "--quiet", "--builtin-schema"]
    _run([*schema, "vendor.github-workflows", *workflows])
    _run([*schema, "vendor.dependabot", str(ROOT / ".github" / "dependabot.yml")])
    _run([str(TOOLS / "zizmor"), "--offline", "--quiet", "--persona", "pedantic", str(ROOT / ".github")])
    _log("workflows: valid, and zizmor found nothing")


def run_example(wheel: Path, constraint: str) -> None:
    """Run an example DAG of the wheel in a bare environment, from a real S3 server to Azurite.

    :raises CheckFailed: if the blob is not the object
    """
    with tempfile.TemporaryDirectory(prefix="s3-azure-bare-") as folder:
        home = Path(folder)
        python = home / "environment" / "bin" / "python"
        _run(_uv("venv", "--quiet", "--python", sys.executable, str(python.parent.parent)))
        pip = _uv("pip", "install", "--quiet", "--python", str(python))
        _run([*pip, "--constraint", constraint, str(wheel)])
        with S3Server(home) as s3, AzureServer(home) as azure:
            client = s3.client()
            client.create_bucket(Bucket="acme-exports", CreateBucketConfiguration={"LocationConstraint": s3.region})
            client.put_object(Bucket="acme-exports", Key=KEY, Body=BODY)
            _run_dag(python, home, s3, azure)
            found = azure.container_client("landing", create=False).download_blob(KEY).readall()
    if found != BODY:
        raise CheckFailed(f"the blob has {len(found):,} bytes that are not those of the object, {len(BODY):,} bytes")
    _log(f"an example DAG of {wheel.name} copied and verified an object, in an environment with nothing else")


def _run_dag(python: Path, home: Path, s3: S3Server, azure: AzureServer) -> None:
    where = "import airflow_s3_azure, pathlib; print(pathlib.Path(airflow_s3_azure.__file__).parent / 'example_dags')"
    examples = subprocess.run(
        [python, "-c", where], cwd=home, check=True, capture_output=True, text=True
    ).stdout.strip()
    conf = '{"s3_bucket": "acme-exports", "container_name": "landing", "create_container": true, "dry_run": false}'
    environment = child_environment(
        AIRFLOW_HOME=str(home / "airflow"),
        AIRFLOW__CORE__DAGS_FOLDER=examples,
        AIRFLOW__CORE__LOAD_EXAMPLES="False",
        AIRFLOW_CONN_AWS_DEFAULT=json.dumps(s3.airflow_connection()),
        AIRFLOW_CONN_WASB_DEFAULT=json.dumps(azure.airflow_connection()),
    )
    airflow = [str(python), "-m", "airflow"]
    log = home / "airflow.log"
    with log.open("w") as output:
        for arguments in (["db", "migrate"], ["dags", "test", "s3_to_azure_history", "--conf", conf]):
            done = subprocess.run(
                [*airflow, *arguments], cwd=home, env=environment, stdout=output, stderr=output, check=False
            )
            if done.returncode:
                tail = "\n".join(log.read_text().splitlines()[-30:])
                raise CheckFailed(f"`airflow {' '.join(arguments)}` ended with {done.returncode}:\n{tail}")


def _uv(*arguments: str) -> list[str]:
    return [os.environ.get("UV", "uv"), *arguments]


def _run(command: list[str], env: dict[str, str] | None = None) -> None:
    subprocess.run(command, cwd=ROOT, check=True, env=env)


def _log(line: str) -> None:
    print(f"release-check: {line}", flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
