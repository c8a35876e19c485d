/** The last runs in the order of their data: bytes, objects, throughput and failed keys, one below the other. Plain SVG. */
import { bytes, count, counted, rate } from "./format.js";
import { dayName, isQuiet, shortName, throughput } from "./history.js";
import { ChakraUI, color, h, React, ReactRouterDOM } from "./host.js";
import { useWidth } from "./live.js";
import { STATES, stateColor, StateLegend, transferPath } from "./parts.js";
import { useRoving } from "./roving.js";

const { Box, Flex, Text } = ChakraUI;

const AXIS = 76; // pixels left of the columns
const LABEL = 58; // pixels of a day below the columns
const TIMED = 112; // of a day with a time
const GAP = 26; // above a panel, for its name
const FOOT = 34; // below the last, for the days

const PANELS = [
  { name: "Bytes copied", value: (one) => one.report?.copied_bytes, text: bytes, height: 96, step: 1024, always: true },
  { name: "Objects copied", value: (one) => one.report?.copied, text: count, height: 60, step: 1000 },
  { name: "Throughput", value: (one) => throughput(one.report), text: rate, height: 60, step: 1024 },
  { name: "Failed keys", value: (one) => one.report?.failed, text: count, height: 44, step: 1000, token: "failed.solid" },
];

const ROUND = [1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10];

/** The smallest round number of a unit that is not below the largest value; units grow by `step`. */
export function ceiling(value, step) {
  if (!(value > 0)) return 1;
  let unit = 1;
  while (value / unit >= step) unit *= step;
  const scaled = value / unit;
  const power = 10 ** Math.floor(Math.log10(scaled));
  const round = ROUND.map((one) => one * power).find((one) => one >= scaled && (unit > 1 || Number.isInteger(one)));
  return Math.min(round ?? 10 * power, step) * unit;
}

/** What a column stands for, for screen readers and for the line below the chart. */
export function sentence(one) {
  const { report } = one;
  const kind = one.isBackfill ? ", backfill" : one.type === "manual" ? ", manual" : "";
  const start = `${dayName(one)}${kind}: ${STATES[one.state]?.word ?? "no state"}`;
  if (!report) return one.isRead || !["success", "failed"].includes(one.state) ? `${start}; no report` : start;
  if (one.state === "dry") return `${start}; would copy ${counted(report.cost?.objects ?? null, "object")}, ${bytes(report.cost?.bytes)}`;
  if (one.state === "success" && isQuiet(report)) return `${start}; nothing new, ${count(report.unchanged)} unchanged, ${count(report.skipped)} skipped`;
  const speed = throughput(report) ? ` at ${rate(throughput(report))}` : "";
  return `${start}; ${counted(report.copied, "object")} copied, ${bytes(report.copied_bytes)}${speed}, ${count(report.unchanged)} unchanged, ${count(report.skipped)} skipped, ${count(report.failed)} failed`;
}

/** A sign of a state's own shape, so that color is not the only difference. */
function Mark({ state, x, y, r }) {
  const fill = stateColor(state);
  if (state === "failed") return h("path", { d: `M${x - r} ${y - r}L${x + r} ${y + r}M${x + r} ${y - r}L${x - r} ${y + r}`, stroke: fill, strokeWidth: 2 });
  if (state === "running") return h("path", { d: `M${x - r} ${y - r}L${x + r} ${y}L${x - r} ${y + r}z`, fill });
  if (state === "dry") return h("circle", { cx: x, cy: y, r, fill: "none", stroke: fill, strokeWidth: 1.5 });
  if (state === "skipped") return h("rect", { x: x - r, y: y - 1, width: 2 * r, height: 2, fill });
  return h("circle", { cx: x, cy: y, r, fill });
}

/** `entries` oldest first. */
export function RunsChart({ entries }) {
  const [ref, width] = useWidth();
  const [pointed, setPointed] = React.useState(null);
  const item = useRoving(entries.length, entries.length - 1);
  const panels = PANELS.filter(({ always, value }) => always || entries.some(value));
  const column = Math.max(0, width - AXIS) / Math.max(1, entries.length);
  const bar = Math.max(2, Math.min(48, column * 0.7));
  const end = AXIS + column * entries.length;
  let y = 0;
  const placed = panels.map((panel) => {
    const top = y + GAP;
    y = top + panel.height;
    return { ...panel, top, bottom: y, max: ceiling(Math.max(0, ...entries.map((one) => panel.value(one) ?? 0)), panel.step) };
  });
  const height = y + FOOT;
  const shown = pointed === null ? null : entries[pointed];
  const room = entries.some((one) => one.time) ? TIMED : LABEL;
  const every = Math.max(1, Math.ceil(room / Math.max(1, column)));
  const newest = entries.length - 1;
  const endsInside = column < LABEL; // the newest label, which then needs half a label more room
  const isLabeled = (at) => at % every === newest % every && !(endsInside && newest - at === every && every * column < 1.2 * room);

  return h(
    Box,
    { "data-testid": "runs-chart" },
    h(Legend, { entries }),
    h(
      Box,
      { position: "relative", ref, height: `${height}px`, onMouseLeave: () => setPointed(null) },
      width > 0 &&
        h(
          "svg",
          { width, height, "aria-hidden": true, style: { display: "block", overflow: "visible" } },
          pointed !== null &&
            h("rect", { x: AXIS + pointed * column, y: 0, width: column, height: y, fill: color("bg.muted"), rx: 3 }),
          placed.map((panel) =>
            h(
              "g",
              { key: panel.name },
              h("text", { x: AXIS, y: panel.top - 10, style: { fontSize: 12, fontWeight: 600 }, fill: color("fg.muted") }, panel.name),
              [0, 0.5, 1].map((part) => {
                const line = panel.bottom - part * panel.height;
                return h(
                  React.Fragment,
                  { key: part },
                  h("line", { x1: AXIS, x2: Math.max(end, AXIS), y1: line, y2: line, stroke: color(part ? "border.muted" : "border.emphasized") }),
                  part === 1 &&
                    h("text", { x: AXIS - 8, y: line + 4, style: { fontSize: 11 }, textAnchor: "end", fill: color("fg.muted") }, panel.text(panel.max).replace(".0 ", " ")),
                );
              }),
              entries.map((one, at) => {
                const value = panel.value(one);
                const left = AXIS + at * column + (column - bar) / 2;
                if (!value) return null;
                const tall = Math.max(2, (value / panel.max) * panel.height);
                return h("rect", {
                  key: at,
                  x: left,
                  y: panel.bottom - tall,
                  width: bar,
                  height: tall,
                  rx: Math.min(2, bar / 4),
                  fill: panel.token ? color(panel.token) : stateColor(one.state),
                  fillOpacity: panel.name === "Bytes copied" || panel.token ? 1 : 0.72,
                });
              }),
            ),
          ),
          entries.map((one, at) => {
            const middle = AXIS + at * column + column / 2;
            const label = isLabeled(at);
            return h(
              "g",
              { key: at },
              // A run that copied nothing still has a sign, so that no run is invisible.
              h(Mark, { state: one.state, x: middle, y: y + 6, r: Math.min(3, bar / 2) }),
              one.isBackfill &&
                h("path", { d: `M${middle} ${y + 10.5}l3.5 3.5l-3.5 3.5l-3.5 -3.5z`, fill: color("fg") }),
              label &&
                h("text", { x: middle, y: y + 31, style: { fontSize: 11 }, textAnchor: at === newest && endsInside ? "end" : "middle", fill: color("fg.muted") }, shortName(one)),
            );
          }),
        ),
      h(
        Flex,
        { as: "ol", "aria-label": "Runs, oldest data first", position: "absolute", top: 0, bottom: 0, left: `${AXIS}px`, width: `${column * entries.length}px`, m: 0, p: 0, listStyleType: "none" },
        entries.map((one, at) => {
          const { onFocus, ...rest } = item(at);
          return h(
            "li",
            { key: `${one.dagId} ${one.runId} ${one.taskId}`, style: { width: column, height: "100%" } },
            h(ReactRouterDOM.Link, {
              ...rest,
              to: transferPath(one.dagId, one.runId),
              "aria-label": sentence(one),
              onFocus: () => {
                onFocus();
                setPointed(at);
              },
              onBlur: () => setPointed(null),
              onMouseEnter: () => setPointed(at),
              style: { display: "block", height: "100%", borderRadius: 4 },
            }),
          );
        }),
      ),
    ),
    h(
      Text,
      { fontSize: "sm", color: shown ? "fg" : "fg.muted", minH: "3em", mt: 1, "aria-hidden": true, "data-testid": "chart-readout" },
      shown ? sentence(shown) : "Hover or use arrow keys for details; Enter opens the run.",
    ),
  );
}

function Legend({ entries }) {
  const states = ["success", "failed", "running", "dry", "skipped"].filter((state) => entries.some((one) => one.state === state));
  const backfill = h(
    Flex,
    { align: "center", gap: 1.5 },
    h("svg", { width: 8, height: 8 }, h("path", { d: "M4 0l4 4l-4 4l-4 -4z", fill: color("fg") })),
    "backfill",
  );
  return h(StateLegend, { states }, entries.some((one) => one.isBackfill) && backfill);
}
