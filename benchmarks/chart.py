"""The results as a picture: two bar charts side by side, readable on a light page and on a dark one."""

from __future__ import annotations

from html import escape

from benchmarks.cases import LARGE, SMALL
from benchmarks.clients import CLIENTS
from benchmarks.results import Results

WIDTH = 860
ROW = 26
LABEL = 205
_STYLE = """
    text { font: 13px system-ui, sans-serif; fill: #1f2328; }
    .title { font-weight: 600; font-size: 14px; }
    .note { fill: #59636e; font-size: 11.5px; }
    .page { fill: #ffffff; }
    .bar { fill: #aeb8c4; }
    .ours { fill: #0969da; }
    .bold { font-weight: 600; }
    @media (prefers-color-scheme: dark) {
      text { fill: #e6edf3; }
      .note { fill: #9198a1; }
      .page { fill: #0d1117; }
      .bar { fill: #57606a; }
      .ours { fill: #4493f8; }
    }
"""


def svg(results: Results) -> str:
    """Return a picture of the client's CPU time for one large object and for many small ones."""
    panels = [
        (LARGE, f"CPU seconds: {results.cases[LARGE].title}", "MiB/s"),
        (SMALL, f"CPU seconds: {results.cases[SMALL].title}", "objects/s"),
    ]
    rows = max(len(results.runs[case]) for case, _, _ in panels)
    height = 64 + 2 * (rows * ROW + 46)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">',
        "  <title>CPU seconds of each client; shorter is better</title>",
        f"  <style>{_STYLE}  </style>",
        f'  <rect class="page" width="{WIDTH}" height="{height}" rx="8"/>',
    ]
    top = 30
    for case, title, unit in panels:
        lines += _panel(results, case, f"{title} (shorter is better)", unit, top)
        top += rows * ROW + 46
    note = f"Client's own CPU, user and system, and speed; medians, loopback, {results.machine['processor']}; {results.started[:10]}."
    lines += [f'  <text class="note" x="20" y="{height - 18}">{escape(note)}</text>', "</svg>", ""]
    return "\n".join(lines)


def _panel(results: Results, case: str, title: str, unit: str, top: int) -> list[str]:
    found = results.cases[case]
    clients = sorted(results.runs[case], key=lambda client: results.cpu(case, client))
    most = max(results.cpu(case, client) for client in clients)
    room = WIDTH - LABEL - 60 - 160
    lines = [f'  <text class="title" x="20" y="{top}">{escape(title)}</text>']
    for number, client in enumerate(clients):
        y = top + 14 + number * ROW
        cpu, seconds = results.cpu(case, client), results.seconds(case, client)
        speed = found.total / 2**20 / seconds if unit == "MiB/s" else found.objects / seconds
        width = max(2.0, cpu / most * room)
        mark, bold = ("ours", " bold") if client == "ours" else ("bar", "")
        throughput = f'<tspan class="note" dx="8">{speed:,.0f} {unit}</tspan>'
        lines += [
            f'  <text class="label{bold}" x="{LABEL + 12}" y="{y + 14}" text-anchor="end">{escape(_short(client))}</text>',
            f'  <rect class="{mark}" x="{LABEL + 20}" y="{y}" width="{width:.1f}" height="{ROW - 7}" rx="3"/>',
            f'  <text class="value{bold}" x="{LABEL + 28 + width:.1f}" y="{y + 14}">{cpu:.2f} s{throughput}</text>',
        ]
    return lines


def _short(client: str) -> str:
    """Return a client's name in the width that there is for it."""
    return {"ours": "airflow-s3-azure", "stock": "S3ToAzureBlobStorage…"}.get(client, CLIENTS[client])
