/** Preflights: what each check found, what follows, and what to do. */
import { bytes, counted, duration } from "./format.js";
import { ChakraUI, h, React } from "./host.js";
import { Figure, Figures, Inside, logPath, Outside, Section, StateBadge } from "./parts.js";
import { web } from "./places.js";
import { Problem } from "./problems.js";
import { hasEnded, hasFailed } from "./run.js";

const { Box, Button, Code, Flex, Text } = ChakraUI;

/** The badge of a check, by its status. */
const BADGES = { green: ["success", "green"], amber: ["approval", "amber"], red: ["failed", "red"], skipped: ["skipped", "skipped"] };
const SERVICES = ["S3", "Azure", "S3 and Azure"];

export const Preflights = ({ rows, dagId, runId }) =>
  h(
    Section,
    { title: "Preflight", level: "h2", id: "preflight" },
    h(Flex, { direction: "column", gap: 5 }, rows.map((row) => h(Preflight, { key: row.task.id, row, named: rows.length > 1, log: logPath(dagId, runId, row.task) }))),
  );

const stateOf = (task) => (hasFailed(task) ? "failed" : task.state === "success" || task.state === "skipped" ? task.state : "running");

function Preflight({ row, named, log }) {
  const { task, summary, error } = row;
  const destination = web(summary?.destination);
  return h(
    Flex,
    { direction: "column", gap: 3, "data-testid": "preflight" },
    h(
      Flex,
      { align: "center", gap: 2, rowGap: 1, wrap: "wrap", fontSize: "sm", overflowWrap: "anywhere" },
      named && h(Text, { fontWeight: "medium" }, row.label),
      summary ? h(Status, { status: summary.status }) : h(StateBadge, { state: stateOf(task) }),
      summary && h("span", null, summary.source),
      summary && h(Flex, { as: "span", gap: 2, minW: 0 }, h("span", { "aria-label": "to" }, "→"), destination ? h(Outside, { href: destination, title: "The container" }, summary.destination) : h("span", null, summary.destination)),
      h(Inside, { to: log }, "log"),
    ),
    summary && h(Counts, { found: summary }),
    summary && h(Guardrails, { guardrails: summary.guardrails }),
    summary?.left?.length > 0 && h(Left, { names: summary.left }),
    summary && SERVICES.map((service) => h(Checks, { key: service, service, checks: summary.checks.filter((one) => one.service === service) })),
    !summary && hasFailed(task) && h(Box, { borderWidth: "1px", borderColor: "failed.muted", borderRadius: "lg", "data-testid": "failures" }, h(Problem, { title: "The preflight failed before its checks.", text: error, link: log, label: "its log" })),
    !summary && !hasEnded(task) && h(Text, { fontSize: "sm", color: "fg.muted" }, "The checks take about a minute. This page updates automatically."),
  );
}

function Status({ status }) {
  const [state, word] = BADGES[status] ?? BADGES.skipped;
  return h(StateBadge, { state }, word);
}

const Counts = ({ found }) =>
  h(
    Figures,
    { label: "What the preflight found" },
    h(Figure, { name: "Red", value: String(found.counts.red), note: found.counts.red ? "copies would fail" : "", tone: found.counts.red ? "failed" : undefined, testid: "red" }),
    h(Figure, { name: "Amber", value: String(found.counts.amber), note: found.counts.amber ? "not available" : "", tone: found.counts.amber ? "warning" : undefined, testid: "amber" }),
    h(Figure, { name: "Green", value: String(found.counts.green), note: `of ${counted(found.checks.length, "check")}`, testid: "green" }),
    h(Figure, { name: "Skipped", value: String(found.counts.skipped), note: "not run", testid: "skipped" }),
    h(Figure, { name: "Sent", value: bytes(found.bytes_sent), note: counted(found.requests, "request"), testid: "sent" }),
    h(Figure, { name: "Time", value: duration(found.seconds), note: "" }),
  );

function Guardrails({ guardrails }) {
  const found = Object.entries(guardrails ?? {});
  return h(
    Text,
    { fontSize: "sm", color: "fg.muted", overflowWrap: "anywhere", "data-testid": "guardrails" },
    found.length ? `Guardrails in force: ${found.map(([name, value]) => `${name} = ${name === "max_bytes_per_run" ? bytes(value) : [value].flat().join(", ")}`).join("; ")}` : "No guardrails are in force.",
  );
}

const Left = ({ names }) =>
  h(Text, { fontSize: "sm", color: "warning.fg", overflowWrap: "anywhere", "data-testid": "left" }, `Blobs may not be deleted, so these stay: ${names.join(", ")}`);

const rank = ({ status }) => ["red", "amber"].indexOf(status) + (["red", "amber"].includes(status) ? 0 : 3);

/** The checks of a service, those with something to do first. */
function Checks({ service, checks }) {
  if (!checks.length) return null;
  return h(
    Box,
    null,
    h(Text, { fontSize: "sm", fontWeight: "medium", mb: 1 }, service),
    h(
      Box,
      { as: "ul", listStyleType: "none", borderWidth: "1px", borderColor: "border", borderRadius: "lg", overflow: "hidden", "data-testid": "checks" },
      checks.toSorted((a, b) => rank(a) - rank(b)).map((one, at) => h(CheckRow, { key: one.name, one, isFirst: at === 0 })),
    ),
  );
}

const CheckRow = ({ one, isFirst }) =>
  h(
    Flex,
    { as: "li", gap: 3, rowGap: 1, px: 4, py: 2, wrap: { base: "wrap", md: "nowrap" }, align: "start", borderTopWidth: isFirst ? 0 : "1px", borderColor: "border", fontSize: "sm", "data-testid": "check", "data-status": one.status, "data-name": one.name },
    h(Box, { flex: "none", w: "92px" }, h(Status, { status: one.status })),
    h(
      Box,
      { flex: "1 1 300px", minW: 0, overflowWrap: "anywhere" },
      h(Text, { fontWeight: "medium" }, sentence(one.proves)),
      h(Text, { color: "fg.muted" }, one.detail),
      one.consequence && h(Line, { name: "Consequence" }, one.consequence),
      one.remedy && h(Line, { name: "What to do" }, one.remedy),
      one.action && h(Line, { name: "Missing action" }, h(Code, { size: "sm" }, one.action)),
      one.policy && h(Policy, { text: one.policy }),
      one.status !== "green" && one.request_id && h(Line, { name: "Request" }, h(Code, { size: "sm" }, one.request_id)),
    ),
    h(Text, { flex: "none", color: "fg.muted", fontSize: "xs", fontFamily: "mono" }, one.name),
  );

const Line = ({ name, children }) => h(Text, { mt: 0.5 }, h("span", { style: { fontWeight: 500 } }, `${name}: `), children);

/** The line that a policy needs, to copy. */
function Policy({ text }) {
  const [copied, setCopied] = React.useState(false);
  // Only pages over HTTPS, or of this machine, may write to the clipboard.
  const copy = navigator.clipboard && (() => navigator.clipboard.writeText(text).then(() => setCopied(true), () => {}));
  return h(
    Flex,
    { align: "start", gap: 2, mt: 1 },
    h(Code, { size: "sm", whiteSpace: "pre-wrap", overflowWrap: "anywhere", p: 2, flex: "1 1 auto", minW: 0, "data-testid": "policy" }, text),
    copy && h(Button, { size: "xs", variant: "outline", onClick: copy, "aria-label": "Copy the policy line" }, copied ? "Copied" : "Copy"),
  );
}

const sentence = (text) => text.charAt(0).toUpperCase() + text.slice(1);
