"""What is concluded from the runs: medians, ratios, targets, tables, the picture."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from dataclasses import asdict, replace

from benchmarks.cases import GIB, MIB, Case
from benchmarks.chart import svg
from benchmarks.measure import Cost
from benchmarks.report import fill, markdown, sections
from benchmarks.results import Results
from benchmarks.runner import Run
from benchmarks.targets import judge

MACHINE = {"processor": "two & a half cores"}
LARGE = Case("large", "1 GiB object", 1, GIB, ("ours", "rclone", "stock"))
SMALL = Case("small", "1,000 × 64 KiB", 1000, 65536, ("ours", "rclone", "stock"))
TLS = [replace(case, id=f"tls-{case.id}", title=f"{case.title}, TLS", is_tls=True) for case in (LARGE, SMALL)]


def a_run(cpu: float, seconds: float, *, memory: int = 80 * MIB, read: int = GIB, writes: int = 1000) -> Run:
    """Return a run that took this."""
    return Run(
        Cost(cpu, seconds, memory, 0), {"GET object": 1000, "LIST bucket": 1}, {"Put Blob": writes}, read, (0.1, 0.2)
    )


def measured(ours: list[float], rclone: float, stock: float) -> Results:
    """Return the results of a run with these CPU seconds."""
    results = Results(is_quick=False, machine=MACHINE, started="2026-11-22T00:00:00+00:00")
    for case in (LARGE, SMALL, *TLS):
        for cpu in ours:
            results.add(case, "ours", a_run(cpu, cpu))
        results.add(case, "rclone", a_run(rclone, rclone))
        results.add(case, "stock", a_run(stock, stock))
    return results


def verdicts(results: Results) -> dict[str, tuple[str, bool]]:
    """Return what was measured for each target, and whether it is met."""
    return {target.what: (target.measured, target.is_met) for target in judge(results)}


def test_targets_are_judged_by_medians_against_the_same_run() -> None:
    """The middle one of three rounds counts, as a ratio of what the others took."""
    found = verdicts(measured([0.9, 0.5, 0.4], rclone=2.0, stock=2.5))
    assert found["1 GiB object: CPU"] == ("0.50 s/GiB", True)
    assert found["1 GiB object: CPU against rclone, the cheaper of both"] == ("0.25 ×", True)
    assert found["1 GiB object: speed against rclone, the quicker of both"] == ("4.00 ×", True)
    assert found["1 GiB object: CPU against the stock operator"] == ("0.20 ×", True)


def test_a_missed_target_is_missed() -> None:
    """Nothing is rounded in our favour."""
    found = verdicts(measured([0.551], rclone=1.0, stock=2.2))
    assert found["1 GiB object: CPU"] == ("0.55 s/GiB", False)
    assert found["1 GiB object: CPU against the stock operator"] == ("0.25 ×", False)


def test_the_worst_round_counts_for_memory_and_requests() -> None:
    """A peak, a request too many or a byte read twice is no matter of medians."""
    results = measured([0.5, 0.5], rclone=2.0, stock=2.5)
    results.add(LARGE, "ours", a_run(0.5, 0.5, memory=105 * MIB, read=GIB + GIB // 50))
    results.add(SMALL, "ours", a_run(0.5, 0.5, writes=1010))
    found = verdicts(results)
    assert found["1 GiB object: memory above the imports"] == ("105.00 MiB", False)
    assert found["1 GiB object: bytes read from S3 per byte delivered"] == ("1.02", False)
    assert found["1,000 × 64 KiB: requests per object, beside the listings"] == ("2.01", False)


def test_nothing_is_judged_that_was_not_measured() -> None:
    """A run of one case has no verdict on another."""
    assert verdicts(Results(is_quick=True, machine=MACHINE)) == {}


def test_the_report_lists_the_cost_of_each_client() -> None:
    """A row for each client, with the spread of its rounds and its ratio to ours."""
    results = measured([0.9, 0.5, 0.4], rclone=2.0, stock=2.5)
    rows = [
        [cell.strip() for cell in line.split("|")[1:-1]]
        for line in markdown(results, judge(results)).splitlines()
        if line.startswith(("| rclone, default", "| **this project"))
    ]
    assert rows[0][:6] == ["**this project**", "0.50 (0.40–0.90)", "0.50", "1.00", "0.50 (0.40–0.90)", "1.00"]
    assert rows[1][:4] == ["rclone, default", "2.00", "2.00", "4.00"]


def test_documents_get_what_was_measured_and_keep_the_rest() -> None:
    """Only a marked section is replaced, and only by something."""
    document = (
        "before\n<!-- measured: targets -->\nold\n<!-- end -->\n<!-- measured: grid -->\nkept\n<!-- end -->\nafter\n"
    )
    results = measured([0.5], rclone=2.0, stock=2.5)
    found = fill(document, sections(results, judge(results)))
    assert "old" not in found
    assert "1 GiB object: CPU against rclone" in found
    assert found.endswith("<!-- end -->\n<!-- measured: grid -->\nkept\n<!-- end -->\nafter\n")
    assert fill(found, sections(results, judge(results))) == found


def test_what_broke_is_in_the_report() -> None:
    """A reader of the tables learns that a client is not in them."""
    results = Results(is_quick=True, machine=MACHINE, broken=["rclone ended with 1"])
    assert "**Broken:** rclone ended with 1" in markdown(results, [])


def test_the_file_holds_every_round() -> None:
    """The JSON has what the tables were made from."""
    results = measured([0.9, 0.5, 0.4], rclone=2.0, stock=2.5)
    found = json.loads(results.as_json([asdict(target) for target in judge(results)]))
    assert [run["cost"]["cpu"] for run in found["cases"]["large"]["clients"]["ours"]] == [0.9, 0.5, 0.4]
    assert found["targets"][0]["is_met"] is True


def test_the_picture_has_a_bar_for_each_client() -> None:
    """It is well-formed, and its longest bar is the most expensive client's."""
    root = ET.fromstring(svg(measured([0.5], rclone=2.0, stock=2.5)))
    bars = [element for element in root.iterfind(".//{*}rect") if element.get("class") in ("bar", "ours")]
    widths = [float(bar.get("width", 0)) for bar in bars]
    assert len(bars) == 6
    assert widths[:3] == sorted(widths[:3])
    assert bars[0].get("class") == "ours"
