/** The page "S3 → Azure": every sync of every DAG that this user may see, failures first. */
import { CalendarStrip, LEGEND, summary } from "./calendar_strip.js";
import { HOW_TO } from "./dag_tab.js";
import { bytes, count, counted, longDay, moment, rate } from "./format.js";
import { isQuiet, throughput } from "./history.js";
import { ChakraUI, h, React } from "./host.js";
import { useLive } from "./live.js";
import { Card, Empty, Figure, Figures, Inside, Later, Loading, Notice, Page, Section, StateBadge, StateLegend, transferPath, transfersPath, Trouble } from "./parts.js";
import { SyncsReader } from "./syncs.js";

const { Box, Button, Flex, Heading, Text } = ChakraUI;
const WHILE_RUNNING = 10_000;
const LINE = 41; // pixels
const SHOWN = 5; // syncs with a calendar, and how many more each click brings: each takes three requests

export function NavPage() {
  const reader = React.useRef(null);
  const most = React.useRef(SHOWN);
  const [notice, setNotice] = React.useState(null);
  const [loading, setLoading] = React.useState(false);
  const { data, error, refresh } = useLive(
    async (signal, show) => {
      reader.current ??= new SyncsReader();
      const found = await reader.current.read(most.current, signal, show);
      setLoading(false);
      return found;
    },
    ({ syncs }) => (syncs.some((sync) => sync.state === "running") ? WHILE_RUNNING : null),
    [],
  );
  if (!data) return h(Page, null, error ? h(Trouble, { error, what: "the transfers", retry: refresh }) : h(Loading, { what: "the transfers" }));
  const notify = (text) => {
    setNotice({ status: "info", text });
    refresh();
  };
  const more = () => {
    most.current += SHOWN;
    setLoading(true);
    refresh();
  };
  const { syncs, cards, unchecked, isPartial } = data;
  const rest = syncs.filter((sync) => !cards.some((card) => card.key === sync.key));
  return h(
    Page,
    { "data-testid": "s3-to-azure" },
    h(Heading, { as: "h1", size: "lg" }, "S3 → Azure"),
    error && h(Trouble, { error, what: "the transfers", retry: refresh }),
    h(Notice, { notice }),
    !syncs.length && h(Empty, { title: "No sync has run yet", code: HOW_TO }, "Add one to a DAG, switch the DAG on, and its runs will appear here:"),
    syncs.length > 0 && h(AllTotals, { data }),
    unchecked > 0 && h(Text, { fontSize: "sm", color: "fg.muted", "data-testid": "unchecked" }, `${counted(unchecked, "DAG")} could not be checked for syncs: there are too many.`),
    cards.length > 0 &&
      h(
        Section,
        { title: "Syncs", level: "h2", id: "syncs", aside: h(StateLegend, { states: LEGEND.filter((state) => cards.some((card) => card.days.some((one) => one.state === state))) }) },
        h(Flex, { direction: "column", gap: 3 }, cards.map((card) => h(SyncCard, { key: card.key, card, onBackfill: notify }))),
      ),
    isPartial && syncs.length > 0 && h(Loading, { what: "their days" }),
    !isPartial && rest.length > 0 &&
      h(
        Section,
        {
          title: cards.length ? `The other ${counted(rest.length, "sync")}` : counted(rest.length, "sync"),
          level: "h2",
          id: "other-syncs",
          aside: cards.length > 0 && h(Button, { size: "xs", variant: "outline", onClick: more, loading, "data-testid": "more" }, `Show the days of ${count(Math.min(rest.length, SHOWN))} more`),
        },
        h(
          Later,
          { height: `${LINE * rest.length}px` },
          h(
            Box,
            { as: "ul", listStyleType: "none", m: 0, p: 0, borderWidth: "1px", borderColor: "border", borderRadius: "lg", overflow: "hidden" },
            rest.map((sync) => h(SyncLine, { key: sync.key, sync })),
          ),
        ),
      ),
  );
}

function AllTotals({ data: { syncs, recent, isPartial } }) {
  const having = (state) => syncs.filter((sync) => sync.state === state).length;
  const numbers = [...(recent?.events.values() ?? [])];
  const sum = (value) => numbers.reduce((all, one) => all + (value(one) || 0), 0);
  const size = sum((one) => one.copied_bytes);
  const seconds = sum((one) => (throughput(one) ? one.copied_bytes / throughput(one) : 0));
  const paused = syncs.filter((sync) => sync.isPaused).length;
  const unknown = isPartial ? "…" : "–";
  return h(
    Figures,
    { label: `${counted(syncs.length, "sync")} by their newest run` },
    h(Figure, { name: "Syncs", value: count(syncs.length), note: paused ? `${count(paused)} paused` : "", testid: "total-syncs" }),
    h(Figure, { name: "Failed", value: count(having("failed")), note: "by their newest run", tone: having("failed") ? "failed" : undefined, testid: "total-bad" }),
    h(Figure, { name: "Running", value: count(having("running")), note: "", testid: "total-running" }),
    h(Figure, { name: "Succeeded", value: count(having("success")), note: "by their newest run", testid: "total-good" }),
    h(Figure, { name: "Copied in 24 hours", value: recent ? bytes(size) : unknown, note: recent ? `${recent.isWhole ? "" : "≥ "}${counted(sum((one) => one.copied), "object")}, good runs` : "", testid: "total-bytes" }),
    h(Figure, { name: "Throughput", value: seconds ? rate(size / seconds) : unknown, note: "mean while copying", testid: "total-rate" }),
  );
}

const nameOf = ({ dagId, groupId, isNamed }) => (isNamed ? `${dagId} · ${groupId}` : dagId);

/** A report in a few words. */
export function inShort(report) {
  if (!report) return "";
  if (isQuiet(report)) return "nothing new";
  const failed = report.failed ? `, ${count(report.failed)} failed` : "";
  return `${counted(report.copied, "object")}, ${bytes(report.copied_bytes)}${failed}`;
}

function SyncCard({ card, onBackfill }) {
  const { dag, newest } = card;
  const text = inShort(newest.report);
  return h(
    Card,
    { "data-testid": "sync-card", "data-dag": card.dagId, "data-state": card.state },
    h(
      Flex,
      { justify: "space-between", align: "baseline", gap: 3, rowGap: 1, wrap: "wrap", mb: 3 },
      h(
        Flex,
        { gap: 2, align: "center", wrap: "wrap", minW: 0 },
        h(Inside, { to: transfersPath(card.dagId), fontWeight: "semibold", overflowWrap: "anywhere" }, nameOf(card)),
        h(StateBadge, { state: card.state }),
        h(Text, { fontSize: "xs", color: "fg.muted" }, [dag.schedule ?? "no schedule", card.isPaused && "paused"].filter(Boolean).join(", ")),
      ),
      h(
        Text,
        { fontSize: "sm", color: "fg.muted", fontVariantNumeric: "tabular-nums" },
        h(Inside, { to: transferPath(newest.dagId, newest.runId) }, longDay(newest.from, dag.zone)),
        text && `: ${text}`,
      ),
    ),
    h(CalendarStrip, { days: card.days, dag, onBackfill, small: true }),
    h(Text, { fontSize: "xs", color: "fg.muted", mt: 1.5 }, `${counted(card.days.length, "day")}: ${summary(card.days)}${card.isPartial ? "; older runs are not shown" : ""}`),
  );
}

/** A sync on one line, from its newest run alone. */
function SyncLine({ sync }) {
  const { task, numbers } = sync;
  const text = inShort(numbers);
  return h(
    Flex,
    { as: "li", align: "center", gap: 3, rowGap: 1, wrap: "wrap", px: 3, py: 2, fontSize: "sm", borderTopWidth: "1px", borderColor: "border.muted", _first: { borderTopWidth: 0 }, "data-testid": "sync-line", "data-dag": sync.dagId, "data-state": sync.state },
    h(Box, { minW: "112px" }, h(StateBadge, { state: sync.state })),
    h(Inside, { to: transfersPath(sync.dagId), fontWeight: "medium", overflowWrap: "anywhere", flex: "1 1 200px" }, nameOf(sync)),
    h(Text, { color: "fg.muted" }, [text, sync.isPaused && "paused"].filter(Boolean).join(", ")),
    h(
      Inside,
      { to: transferPath(sync.dagId, sync.runId), whiteSpace: "nowrap", fontVariantNumeric: "tabular-nums" },
      task.end_date ? `ended ${moment(task.end_date)} UTC` : "go to the run",
    ),
  );
}
