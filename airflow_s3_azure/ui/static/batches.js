/** The batches of a sync, or the objects of mapped copies. Only visible rows are rendered, so 1,000 stay smooth. */
import { bytes, count, counted, duration, isNumber, percent, plural, rate } from "./format.js";
import { ChakraUI, h, React } from "./host.js";
import { useWidth } from "./live.js";
import { PROOFS } from "./numbers.js";
import { Bar, Inside, Later, logPath, Middle, STATES, StateBadge, stateColor } from "./parts.js";
import { hasEnded, KINDS, kindOf } from "./run.js";

const { Box, Button, Flex, Text } = ChakraUI;
const ROW = 45; // pixels
const FIT = 10; // rows that are visible at once
const AROUND = 3; // rows above and below the visible ones
const MOST_SECONDS = 30 * 86_400; // a longer estimate means nothing
const MAP_FROM = 13; // batches that are enough for a map of all

const NARROW = "36px minmax(0, 1fr) 110px";
const WIDE = "40px minmax(180px, 1fr) 130px 70px 84px minmax(140px, 0.6fr)";
const WIDE_FROM = 780; // pixels of the table, which is narrower than the window

export function Batches({ rows, dagId, runId, noun, onSeen }) {
  const [filter, setFilter] = React.useState(null);
  const [top, setTop] = React.useState(0);
  const kinds = Map.groupBy(rows, kindOf);
  const kept = filter && kinds.has(filter) ? kinds.get(filter) : rows;
  const sorted = kept.toSorted(
    (a, b) => KINDS.indexOf(kindOf(a)) - KINDS.indexOf(kindOf(b)) || a.index - b.index,
  );
  const begin = Math.max(0, Math.min(Math.floor(top / ROW), sorted.length - FIT));
  const first = Math.max(0, begin - AROUND);
  const rendered = sorted.slice(first, begin + FIT + AROUND);
  const seen = sorted.slice(begin, begin + FIT + (top % ROW > 0));
  const [ref, width] = useWidth();
  const wide = width >= WIDE_FROM;
  const wanted = seen.map(({ task }) => `${task.task_id}${task.map_index}${task.state}${task.try_number}`).join();
  React.useEffect(() => {
    const timer = setTimeout(() => onSeen(seen), 150);
    return () => clearTimeout(timer);
  }, [wanted]);

  return h(
    Box,
    null,
    rows.length >= MAP_FROM && h(Later, { height: `${mapHeight(rows.length, width)}px` }, h(BatchMap, { rows, noun, kinds })),
    kinds.size > 1 && h(
      Flex,
      { gap: 1, wrap: "wrap", mb: 2, role: "group", "aria-label": `Which ${plural(noun)} to show` },
      [null, ...KINDS.filter((kind) => kinds.has(kind))].map((kind) =>
        h(
          Button,
          { key: kind ?? "all", size: "xs", variant: filter === kind ? "subtle" : "ghost", "aria-pressed": filter === kind, onClick: () => setFilter(kind) },
          kind ? `${STATES[kind].sign} ${STATES[kind].word}` : "all",
          h(Text, { as: "span", color: "fg.muted", fontVariantNumeric: "tabular-nums" }, count(kind ? kinds.get(kind).length : rows.length)),
        ),
      ),
    ),
    h(
      Box,
      { ref, role: "table", "aria-label": `The ${plural(noun)}`, "aria-rowcount": sorted.length + 1, borderWidth: "1px", borderColor: "border", borderRadius: "lg", overflow: "hidden", "data-testid": "batches" },
      h(
        Row,
        { header: true, wide, "aria-rowindex": 1 },
        h(Cell, { head: true, textAlign: "end" }, "#"),
        h(Cell, { head: true }, noun === "batch" ? "Batch" : "Object"),
        h(Cell, { head: true }, "State"),
        wide && h(Cell, { head: true, textAlign: "end" }, "Objects"),
        wide && h(Cell, { head: true, textAlign: "end" }, "Size"),
        wide && h(Cell, { head: true }, "Progress"),
      ),
      h(
        Box,
        { maxH: `${ROW * FIT}px`, overflowY: "auto", onScroll: (event) => setTop(event.currentTarget.scrollTop), tabIndex: sorted.length > FIT ? 0 : undefined, role: "rowgroup" },
        h(
          "div",
          { style: { height: sorted.length * ROW, position: "relative" }, role: "presentation" },
          rendered.map((row, at) =>
            h(BatchRow, { key: `${row.task.task_id} ${row.index}`, row, wide, dagId, runId, style: { position: "absolute", top: (first + at) * ROW, left: 0, right: 0, height: ROW }, index: first + at + 2 }),
          ),
        ),
      ),
    ),
  );
}

const Row = ({ header, wide, children, ...rest }) =>
  h(
    Box,
    { role: "row", display: "grid", gridTemplateColumns: wide ? WIDE : NARROW, alignItems: "center", columnGap: 4, px: 3, borderTopWidth: header ? 0 : "1px", borderColor: "border.muted", bg: header ? "bg.muted" : "bg", py: header ? 2 : 0, ...rest },
    children,
  );

const Cell = ({ head, children, ...rest }) =>
  h(Box, { role: head ? "columnheader" : "cell", fontSize: head ? "xs" : "sm", color: head ? "fg.muted" : undefined, fontWeight: head ? "semibold" : undefined, minW: 0, ...rest }, children);

function BatchRow({ row, wide, dagId, runId, style, index }) {
  const { task, summary, progress } = row;
  const kind = kindOf(row);
  const name = String(row.label);
  return h(
    Row,
    { style, wide, "aria-rowindex": index, "data-testid": "batch", "data-index": row.index, "data-state": kind },
    h(Cell, { textAlign: "end", color: "fg.muted", fontVariantNumeric: "tabular-nums" }, row.index >= 0 ? row.index : "–"),
    h(
      Cell,
      { overflow: "hidden" },
      // The numbers at a label's end have columns of their own.
      h(Inside, { to: logPath(dagId, runId, task), "aria-label": `Log of ${name}`, title: name, display: "flex", maxW: "100%", minW: 0 }, h(Middle, { text: row.objects === null ? name : name.replace(/ \([^()]*\)$/, "") })),
      !wide && progress && h(Bar, { share: shareOf(progress), state: kind, label: `Progress of batch ${row.index}`, height: "4px" }),
      !wide && !progress && h(Text, { fontSize: "xs", color: "fg.muted", truncate: true }, inWords(row, kind)),
    ),
    h(Cell, null, h(StateBadge, { state: kind })),
    wide && h(Cell, { textAlign: "end", fontVariantNumeric: "tabular-nums" }, count(row.objects ?? (summary?.status ? 1 : null))),
    wide && h(Cell, { textAlign: "end", fontVariantNumeric: "tabular-nums", whiteSpace: "nowrap" }, bytes(sizeOf(row))),
    wide && h(Cell, null, h(Progress, { row, kind, summary, progress, task })),
  );
}

function Progress({ row, kind, summary, progress, task }) {
  if (["done", "failed", "missing"].includes(kind)) return h(Text, { fontSize: "xs", color: "fg.muted", lineClamp: 2 }, ended(row, kind));
  if (!progress) return h(Text, { fontSize: "xs", color: "fg.muted" }, kind === "running" ? "started" : "");
  const share = shareOf(progress);
  return h(
    Box,
    null,
    h(Bar, { share, state: kind, label: `Progress of batch ${row.index}`, testid: "batch-bar" }),
    h(
      Text,
      { fontSize: "xs", color: "fg.muted", mt: 1, whiteSpace: "nowrap", fontVariantNumeric: "tabular-nums", title: progress.current ?? undefined },
      `${percent(share, 1)}${kind === "running" && progress.bytes_per_second ? ` · ${rate(progress.bytes_per_second)}` : ""}${
        kind === "running" && isNumber(progress.seconds_left) && progress.seconds_left < MOST_SECONDS ? ` · ${duration(progress.seconds_left)} left` : ""
      }`,
    ),
  );
}

/** How much of a batch is done, by bytes where there are any. */
export function shareOf({ bytes: done, all_bytes: all, objects, all_objects: allObjects }) {
  const share = all > 0 ? done / all : allObjects > 0 ? objects / allObjects : 0;
  return Math.max(0, Math.min(1, share || 0));
}

function ended(row, kind) {
  const { summary, task } = row;
  if (kind === "missing") return "marked as a success: keys are missing";
  if (!summary) return kind === "failed" && row.isRead && !row.error ? "no summary: see its log" : task.duration ? duration(task.duration) : "";
  if (summary.status) return [summary.status, PROOFS[summary.verified] ?? summary.verified, duration(summary.seconds)].filter(Boolean).join(" · ");
  return ["copied", "unchanged", "skipped", "failed"]
    .filter((name) => summary[name])
    .map((name) => `${count(summary[name])} ${name}`)
    .concat(summary.seconds ? [duration(summary.seconds)] : [])
    .join(" · ");
}

const sideOf = (many) => (many > 400 ? 8 : many > 120 ? 10 : 14); // pixels
const MAP_GAP = 2;
const MAP_BELOW = 12;

/** The pixels that the map of so many batches takes in a width. */
function mapHeight(many, width) {
  const step = sideOf(many) + MAP_GAP;
  return Math.ceil(many / Math.max(1, Math.floor((width + MAP_GAP) / step))) * step - MAP_GAP + MAP_BELOW;
}

const sizeOf = (row) => row.size ?? row.summary?.size;

/** What a narrow table has no columns for. */
const inWords = (row, kind) =>
  [isNumber(row.objects) && counted(row.objects, "object"), isNumber(sizeOf(row)) && bytes(sizeOf(row)), hasEnded(row.task) && ended(row, kind)].filter(Boolean).join(" · ");

/** Every batch as a small square. */
function BatchMap({ rows, noun, kinds }) {
  const many = rows.length;
  const side = sideOf(many);
  const counts = KINDS.filter((kind) => kinds.has(kind)).map((kind) => `${count(kinds.get(kind).length)} ${STATES[kind].word}`);
  return h(
    Box,
    {
      role: "img",
      "aria-label": `${counted(many, noun)}: ${counts.join(", ")}`,
      "data-testid": "batch-map",
      display: "grid",
      gridTemplateColumns: `repeat(auto-fill, ${side}px)`,
      gap: `${MAP_GAP}px`,
      mb: `${MAP_BELOW}px`,
    },
    rows.map((row) => {
      const { task, index, label, progress } = row;
      const kind = kindOf(row);
      const plain = kind === "waiting";
      const share = kind === "running" && progress ? shareOf(progress) : null;
      const full = stateColor(kind);
      return h("span", {
        key: `${task.task_id} ${index}`,
        title: `${index}: ${label}: ${STATES[kind].word}`,
        style: {
          height: side,
          borderRadius: 2,
          // Failures differ by their shape too.
          clipPath: kind === "failed" || kind === "missing" ? "polygon(50% 0, 100% 50%, 50% 100%, 0 50%)" : undefined,
          background: plain ? "var(--chakra-colors-bg-emphasized)" : share === null ? full : `linear-gradient(0deg, ${full} ${share * 100}%, var(--chakra-colors-running-muted) 0)`,
        },
      });
    }),
  );
}
