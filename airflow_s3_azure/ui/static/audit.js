/** Audits of a container: what they found, the first blobs that failed, and where their ledgers are. */
import { bytes, count, counted, duration } from "./format.js";
import { ChakraUI, h } from "./host.js";
import { Figure, Figures, Inside, logPath, Outside, Section, StateBadge } from "./parts.js";
import { web } from "./places.js";
import { Problem } from "./problems.js";
import { hasEnded, hasFailed } from "./run.js";

const { Box, Flex, Text } = ChakraUI;

export const Audits = ({ rows, dagId, runId }) =>
  h(
    Section,
    { title: "Audit", level: "h2", id: "audit" },
    h(Flex, { direction: "column", gap: 5 }, rows.map((row) => h(Audit, { key: row.task.id, row, named: rows.length > 1, log: logPath(dagId, runId, row.task) }))),
  );

const stateOf = (task) => (hasFailed(task) ? "failed" : task.state === "success" || task.state === "skipped" ? task.state : "running");

function Audit({ row, named, log }) {
  const { task, summary, error } = row;
  const destination = web(summary?.destination);
  const ledger = web(summary?.ledger, destination);
  return h(
    Flex,
    { direction: "column", gap: 3, "data-testid": "audit" },
    h(
      Flex,
      { align: "center", gap: 2, wrap: "wrap", fontSize: "sm" },
      named && h(Text, { fontWeight: "medium" }, row.label),
      h(StateBadge, { state: stateOf(task) }),
      destination && h(Outside, { href: destination, title: "The container" }, summary.destination),
      ledger && h(Outside, { href: ledger, title: "One line per blob: JSON lines in the container" }, "ledger"),
      h(Inside, { to: log }, "log"),
    ),
    summary && h(AuditNumbers, { found: summary }),
    summary && h(Blobs, { found: summary.failures, all: summary.changed + summary.missing, title: "Changed and missing blobs", testid: "failures", border: "failed.muted" }),
    summary && h(Blobs, { found: summary.unknowns, all: summary.unknown, title: "Unknown blobs", testid: "unknowns", border: "border" }),
    !summary && hasFailed(task) && h(Box, { borderWidth: "1px", borderColor: "failed.muted", borderRadius: "lg", "data-testid": "failures" }, h(Problem, { title: "The audit failed, so there are no totals.", text: error, link: log, label: "its log" })),
    !summary && !hasEnded(task) && h(Text, { fontSize: "sm", color: "fg.muted" }, "The totals are known when the audit has ended. Its log has those so far."),
  );
}

const AuditNumbers = ({ found }) =>
  h(
    Figures,
    { label: "What the audit found" },
    h(Figure, { name: "Intact", value: count(found.intact), note: `of ${counted(found.objects, "blob")}`, testid: "intact" }),
    h(Figure, { name: "Changed", value: count(found.changed), note: "", tone: found.changed ? "failed" : undefined, testid: "changed" }),
    h(Figure, { name: "Missing", value: count(found.missing), note: "", tone: found.missing ? "failed" : undefined, testid: "missing-blobs" }),
    h(Figure, { name: "Unknown", value: count(found.unknown), note: found.unknown ? "see the reasons below" : "", testid: "unknown" }),
    h(Figure, { name: "Read back", value: count(found.read), note: found.read ? bytes(found.bytes_read) : "the listing alone", testid: "read" }),
    h(Figure, { name: "Not recorded", value: count(found.unrecorded), note: "not audited", testid: "unrecorded" }),
    h(Figure, { name: "Time", value: duration(found.seconds), note: "" }),
  );

function Blobs({ found, all, title, testid, border }) {
  const rows = found ?? [];
  if (!rows.length) return null;
  return h(
    Box,
    null,
    h(Text, { fontSize: "sm", fontWeight: "medium", mb: 1 }, `${title} (${count(all)})`),
    h(
      Box,
      { borderWidth: "1px", borderColor: border, borderRadius: "lg", overflow: "hidden", "data-testid": testid },
      rows.map(({ blob, status, reason }) => h(Problem, { key: blob, name: blob, text: `${status}: ${reason}` })),
    ),
    all > rows.length && h(Text, { fontSize: "sm", color: "fg.muted", mt: 1 }, `${count(all - rows.length)} more are in the ledger.`),
  );
}
