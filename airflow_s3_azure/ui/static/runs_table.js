/** Totals of runs, and the same numbers run by run. */
import { bytes, count, counted, duration, rate } from "./format.js";
import { dayName, isQuiet, throughput, totals } from "./history.js";
import { ChakraUI, h } from "./host.js";
import { Figure, Figures, Inside, Section, StateBadge, transferPath } from "./parts.js";

const { Table } = ChakraUI;

const UNKNOWN = "…";

/** `isPartial`: what the reports have is not known yet. */
export function Totals({ entries, isPartial }) {
  const all = totals(entries);
  const known = (text) => (isPartial ? UNKNOWN : text);
  const runs = [all.backfills && counted(all.backfills, "backfill"), all.running && `${count(all.running)} running`, all.skipped && `${count(all.skipped)} skipped`, all.dry && `and ${counted(all.dry, "dry run")}`];
  return h(
    Figures,
    { label: `Totals of ${counted(all.runs, "run")}` },
    h(Figure, { name: "Copied", value: known(bytes(all.bytes)), note: known(counted(all.copied, "object")), testid: "total-bytes" }),
    h(Figure, { name: "Runs", value: count(all.runs), note: runs.filter(Boolean).join(", "), testid: "total-runs" }),
    h(Figure, { name: "Succeeded", value: count(all.good), note: "", testid: "total-good" }),
    h(Figure, { name: "Failed runs", value: count(all.bad), note: known(all.failed ? counted(all.failed, "failed key") : ""), tone: all.bad ? "failed" : undefined, testid: "total-bad" }),
    h(Figure, { name: "Throughput", value: known(rate(all.rate)), note: "mean while copying", testid: "total-rate" }),
  );
}

export function RunsTable({ entries, id }) {
  const end = { textAlign: "end", fontVariantNumeric: "tabular-nums", whiteSpace: "nowrap" };
  const head = (name, props) => h(Table.ColumnHeader, { key: name, scope: "col", color: "fg.muted", fontSize: "xs", whiteSpace: "nowrap", ...props }, name);
  return h(
    Section,
    { title: "In numbers", id },
    h(
      Table.ScrollArea,
      { borderWidth: "1px", borderColor: "border", borderRadius: "lg", maxH: "420px", tabIndex: 0, role: "region", "aria-labelledby": id },
      h(
        Table.Root,
        { size: "sm", stickyHeader: true, "data-testid": "runs-table" },
        h(
          Table.Header,
          null,
          h(Table.Row, { bg: "bg.muted" }, [
            head("Data of"),
            head("State"),
            head("Kind"),
            head("Copied", end),
            head("Size", end),
            head("Throughput", end),
            head("Unchanged", end),
            head("Failed", end),
            head("Took", end),
          ]),
        ),
        h(Table.Body, null, entries.toReversed().map((one) => h(RunRow, { key: `${one.runId} ${one.taskId}`, one, end }))),
      ),
    ),
  );
}

function RunRow({ one, end }) {
  const { report } = one;
  return h(
    Table.Row,
    { "data-run": one.runId },
    h(Table.Cell, { whiteSpace: "nowrap" }, h(Inside, { to: transferPath(one.dagId, one.runId) }, dayName(one))),
    h(Table.Cell, null, h(StateBadge, { state: one.state })),
    h(Table.Cell, { color: "fg.muted" }, one.type ?? "–"),
    h(Table.Cell, end, one.state === "success" && isQuiet(report) ? "nothing new" : count(report?.copied)),
    h(Table.Cell, end, report?.copied ? bytes(report.copied_bytes) : "–"),
    h(Table.Cell, end, rate(throughput(report))),
    h(Table.Cell, end, count(report?.unchanged)),
    h(Table.Cell, { ...end, color: report?.failed ? "failed.fg" : undefined, fontWeight: report?.failed ? "semibold" : undefined }, count(report?.failed)),
    h(Table.Cell, end, duration(one.seconds)),
  );
}
