/** The last runs in the order of their data: bytes, objects, throughput and failed keys above each other. Plain SVG. */
import { bytes, count, counted, longDay, rate, shortDay } from "./format.js";
import { throughput } from "./history.js";
import { ChakraUI, colour, h, React, ReactRouterDOM } from "./host.js";
import { useWidth } from "./live.js";
import { STATES, stateColour, transferPath } from "./parts.js";
import { useRoving } from "./roving.js";

const { Box, Flex, Text } = ChakraUI;

const AXIS = 76; // pixels left of the columns
const WIDEST = 72; // pixels of a column
const GAP = 26; // above a panel, for its name
const FOOT = 34; // below the last, for the days

const PANELS = [
  { name: "Bytes copied", value: (one) => one.report?.copied_bytes, text: bytes, height: 96, step: 1024, always: true },
  { name: "Objects copied", value: (one) => one.report?.copied, text: count, height: 60, step: 1000 },
  { name: "Throughput", value: (one) => throughput(one.report), text: rate, height: 60, step: 1024 },
  { name: "Failed keys", value: (one) => one.report?.failed, text: count, height: 44, step: 1000, token: "failed.solid" },
];

/** The smallest round number that is not below the largest value. */
export function ceiling(value, step) {
  if (!(value > 0)) return 1;
  let unit = 1;
  while (value / unit >= step) unit *= step;
  const scaled = value / unit;
  const power = 10 ** Math.floor(Math.log10(scaled));
  const round = [1, 2, 5, 10].map((one) => one * power).find((one) => one >= scaled * 0.999);
  return Math.min(round, step) * unit >= value ? Math.min(round, step) * unit : round * unit;
}

/** What a column says, for those who hear it and for those who point at it. */
export function sentence(one, withDag) {
  const said = one.report;
  const kind = one.isBackfill ? ", backfill" : one.type === "manual" ? ", triggered by hand" : "";
  const what = said
    ? `${counted(said.copied, "object")} copied, ${bytes(said.copied_bytes)}${
        throughput(said) ? ` at ${rate(throughput(said))}` : ""
      }, ${count(said.unchanged)} unchanged, ${count(said.skipped)} skipped, ${count(said.failed)} failed`
    : "no report";
  return `${withDag ? `${one.dagId}, ` : ""}${longDay(one.from, one.zone)}${kind}: ${STATES[one.state]?.word ?? "no state"}; ${what}`;
}

/** `entries` oldest first. */
export function RunsChart({ entries, withDag }) {
  const [ref, width] = useWidth();
  const [pointed, setPointed] = React.useState(null);
  const item = useRoving(entries.length, entries.length - 1);
  const panels = PANELS.filter(({ always, value }) => always || entries.some(value));
  const column = Math.min(WIDEST, Math.max(0, width - AXIS) / Math.max(1, entries.length));
  const bar = Math.max(2, Math.min(28, column * 0.7));
  const end = AXIS + column * entries.length;
  let y = 0;
  const placed = panels.map((panel) => {
    const top = y + GAP;
    y = top + panel.height;
    return { ...panel, top, bottom: y, max: ceiling(Math.max(0, ...entries.map((one) => panel.value(one) ?? 0)), panel.step) };
  });
  const height = y + FOOT;
  const shown = pointed === null ? null : entries[pointed];
  const every = Math.max(1, Math.ceil(58 / Math.max(1, column)));
  const newest = entries.length - 1;

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
            h("rect", { x: AXIS + pointed * column, y: 0, width: column, height: y, fill: colour("bg.muted"), rx: 3 }),
          placed.map((panel) =>
            h(
              "g",
              { key: panel.name },
              h("text", { x: AXIS, y: panel.top - 10, style: { fontSize: 12, fontWeight: 600 }, fill: colour("fg.muted") }, panel.name),
              [0, 0.5, 1].map((part) => {
                const line = panel.bottom - part * panel.height;
                return h(
                  React.Fragment,
                  { key: part },
                  h("line", { x1: AXIS, x2: Math.max(end, AXIS), y1: line, y2: line, stroke: colour(part ? "border.muted" : "border.emphasized") }),
                  part === 1 &&
                    h("text", { x: AXIS - 8, y: line + 4, style: { fontSize: 11 }, textAnchor: "end", fill: colour("fg.muted") }, panel.text(panel.max).replace(".0 ", " ")),
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
                  fill: panel.token ? colour(panel.token) : stateColour(one.state),
                  fillOpacity: panel.name === "Bytes copied" || panel.token ? 1 : 0.72,
                });
              }),
            ),
          ),
          entries.map((one, at) => {
            const middle = AXIS + at * column + column / 2;
            const label = at % every === newest % every;
            return h(
              "g",
              { key: at },
              // A run that copied nothing still has a sign, so that no run is invisible.
              h("circle", { cx: middle, cy: y + 6, r: Math.min(3, bar / 2), fill: stateColour(one.state) }),
              one.isBackfill &&
                h("path", { d: `M${middle} ${y + 10.5}l3.5 3.5l-3.5 3.5l-3.5 -3.5z`, fill: colour("fg") }),
              label &&
                h("text", { x: middle, y: y + 31, style: { fontSize: 11 }, textAnchor: at === newest && column < 40 ? "end" : "middle", fill: colour("fg.muted") }, shortDay(one.from, one.zone)),
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
              "aria-label": sentence(one, withDag),
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
      shown ? sentence(shown, withDag) : "Point at a run, or reach it with Tab and the arrow keys, for its numbers; follow it for the run.",
    ),
  );
}

function Legend({ entries }) {
  const states = ["success", "failed", "running", "skipped"].filter((state) => entries.some((one) => one.state === state));
  return h(
    Flex,
    { gap: 4, wrap: "wrap", fontSize: "xs", color: "fg.muted", mb: 1, "aria-hidden": true },
    states.map((state) =>
      h(Flex, { key: state, align: "center", gap: 1.5 }, h("span", { style: { width: 10, height: 10, borderRadius: 2, background: stateColour(state) } }), STATES[state].word),
    ),
    entries.some((one) => one.isBackfill) &&
      h(
        Flex,
        { align: "center", gap: 1.5 },
        h("svg", { width: 8, height: 8 }, h("path", { d: "M4 0l4 4l-4 4l-4 -4z", fill: colour("fg") })),
        "backfill",
      ),
  );
}
