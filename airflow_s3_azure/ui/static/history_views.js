/** The tab "Transfers" of a DAG, the page of all DAGs, and the row on the home page. */
import { bytes, count, counted, duration, longDay, rate, shortDay } from "./format.js";
import { byData, calendar, dagOf, entry, readReports, reportTasks, RUNS, runsOf, syncsOf, throughput, totals } from "./history.js";
import { CalendarStrip, summary } from "./calendar_strip.js";
import { ChakraUI, h, React } from "./host.js";
import { useLive } from "./live.js";
import { Card, Empty, Figure, Figures, Inside, Loading, Notice, Page, runPath, Section, StateBadge, STATES, stateColour, transferPath, transfersPath, Trouble } from "./parts.js";
import { RunsChart } from "./runs_chart.js";

const { Box, Button, Flex, Heading, Table, Text } = ChakraUI;
const WHILE_RUNNING = 10_000;
const HOME_WHILE_RUNNING = 30_000;
const SHOWN = 8; // DAGs on the page before it is asked for more
const HOW_TO = 'from airflow_s3_azure.sync_group import s3_to_azure_sync\n\ns3_to_azure_sync(s3_bucket="my-bucket", container_name="my-container")';

/** All runs of a DAG's syncs, the newest `reports` of them with their reports: {dag, syncs: [{groupId, entries, days}]}. */
async function readDag(dagId, syncs, reports, signal) {
  const [dag, runs] = await Promise.all([dagOf(dagId, signal), runsOf(dagId, signal)]);
  const byRun = new Map(runs.map((run) => [run.dag_run_id, run]));
  const read = await Promise.all(
    syncs.map(async ({ groupId, taskId }) => {
      const tasks = await reportTasks(dagId, taskId, signal, runs.length + 100);
      const entries = tasks
        .filter((task) => byRun.has(task.dag_run_id))
        .map((task) => entry(task, byRun.get(task.dag_run_id), dag.zone))
        .filter((one) => one.state)
        .sort(byData);
      const last = entries.slice(-reports);
      await readReports(last, signal);
      return { groupId, taskId, entries, last, days: calendar(entries, dag) };
    }),
  );
  return { dag, syncs: read };
}

const isRunning = (entries) => entries.some((one) => one.state === "running");

export function DagTab({ dagId }) {
  const [notice, setNotice] = React.useState(null);
  const { data, error, refresh } = useLive(
    async (signal) => {
      const found = await syncsOf(dagId, signal);
      return { ...found, ...(found.syncs.length ? await readDag(dagId, found.syncs, RUNS, signal) : {}) };
    },
    ({ syncs }) => (syncs.some((sync) => isRunning(sync.entries ?? [])) ? WHILE_RUNNING : null),
    [dagId],
  );
  if (!data) return h(Page, null, error ? h(Trouble, { error, what: "this DAG", retry: refresh }) : h(Loading, { what: "the runs" }));
  const told = (text) => {
    setNotice({ status: "info", text });
    refresh();
  };
  return h(
    Page,
    { "data-testid": "transfers" },
    error && h(Trouble, { error, what: "this DAG", retry: refresh }),
    h(Notice, { notice }),
    data.syncs.length === 0 &&
      (data.copiesObjects
        ? h(Empty, { title: "This DAG copies single objects" }, "What each run copied is in the tab Transfer of the run. For whole prefixes, with totals and missing days, use a sync:")
        : h(Empty, { title: "This DAG has no S3 → Azure sync", code: HOW_TO }, "To copy what is under an S3 prefix every night, add one:")),
    data.syncs.map((sync) => h(History, { key: sync.taskId, sync, dag: data.dag, named: data.syncs.length > 1, onBackfill: told })),
  );
}

function History({ sync, dag, named, onBackfill }) {
  const id = `history-${sync.groupId}`;
  if (!sync.entries.length) {
    return h(
      Empty,
      { title: named ? `${sync.groupId} has not run yet` : "No run yet" },
      dag.isPaused ? "The DAG is paused. Switch it on, or trigger it, with the buttons above." : "The first run will show up here by itself; or trigger one with the button above.",
    );
  }
  return h(
    Flex,
    { as: "section", direction: "column", gap: 6, "aria-labelledby": named ? id : undefined, "data-testid": "history", "data-group": sync.groupId },
    named && h(Heading, { as: "h2", size: "md", id }, sync.groupId),
    h(Totals, { entries: sync.last }),
    h(Section, { title: "Days of data", id: `${id}-days` }, h(CalendarStrip, { days: sync.days, dag, onBackfill })),
    h(Section, { title: named1(sync.last), id: `${id}-chart` }, h(RunsChart, { entries: sync.last })),
    h(Runs, { entries: sync.last, id: `${id}-runs` }),
  );
}

const named1 = (entries) => (entries.length < RUNS ? counted(entries.length, "run") : `The last ${RUNS} runs`);

function Totals({ entries }) {
  const all = totals(entries);
  return h(
    Figures,
    { label: `Totals of ${counted(all.runs, "run")}` },
    h(Figure, { name: "Copied", value: bytes(all.bytes), note: counted(all.copied, "object"), testid: "total-bytes" }),
    h(Figure, { name: "Runs", value: count(all.runs), note: [all.backfills && counted(all.backfills, "backfill"), all.running && `${count(all.running)} running`].filter(Boolean).join(", "), testid: "total-runs" }),
    h(Figure, { name: "Succeeded", value: count(all.good), note: "", testid: "total-good" }),
    h(Figure, { name: "Failed runs", value: count(all.bad), note: counted(all.failed, "failed key"), tone: all.bad ? "failed" : undefined, testid: "total-bad" }),
    h(Figure, { name: "Throughput", value: rate(all.rate), note: "mean of the runs", testid: "total-rate" }),
  );
}

function Runs({ entries, withDag, id }) {
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
            ...(withDag ? [head("DAG")] : []),
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
        h(
          Table.Body,
          null,
          entries.toReversed().map((one) =>
            h(
              Table.Row,
              { key: `${one.dagId} ${one.runId} ${one.taskId}`, "data-run": one.runId },
              h(Table.Cell, { whiteSpace: "nowrap" }, h(Inside, { to: transferPath(one.dagId, one.runId) }, longDay(one.from, one.zone))),
              withDag && h(Table.Cell, null, h(Inside, { to: transfersPath(one.dagId) }, one.dagId)),
              h(Table.Cell, null, h(StateBadge, { state: one.state })),
              h(Table.Cell, { color: "fg.muted" }, one.type ?? "–"),
              h(Table.Cell, end, count(one.report?.copied)),
              h(Table.Cell, end, bytes(one.report?.copied_bytes)),
              h(Table.Cell, end, rate(throughput(one.report))),
              h(Table.Cell, end, count(one.report?.unchanged)),
              h(Table.Cell, { ...end, color: one.report?.failed ? "failed.fg" : undefined, fontWeight: one.report?.failed ? "semibold" : undefined }, count(one.report?.failed)),
              h(Table.Cell, end, duration(one.seconds)),
            ),
          ),
        ),
      ),
    ),
  );
}

/** The syncs of all DAGs that this user may see, with the newest runs of each. */
async function readAll(most, signal) {
  const tasks = await reportTasks("~", null, signal, 100);
  const dagIds = [...new Set(tasks.map((task) => task.dag_id))];
  const dags = await Promise.all(
    dagIds.slice(0, most).map((dagId) => {
      const taskIds = [...new Set(tasks.filter((task) => task.dag_id === dagId).map((task) => task.task_id))];
      return readDag(dagId, taskIds.map((taskId) => ({ taskId, groupId: taskId.slice(0, Math.max(0, taskId.lastIndexOf("."))) })), 1, signal);
    }),
  );
  const entries = dags.flatMap(({ syncs }) => syncs.flatMap((sync) => sync.entries)).sort(byData).slice(-RUNS);
  await readReports(entries, signal);
  return { dags, entries, more: Math.max(0, dagIds.length - most) };
}

export function NavPage() {
  const [most, setMost] = React.useState(SHOWN);
  const [notice, setNotice] = React.useState(null);
  const { data, error, refresh } = useLive(
    (signal) => readAll(most, signal),
    ({ entries }) => (isRunning(entries) ? WHILE_RUNNING : null),
    [most],
  );
  if (!data) return h(Page, null, error ? h(Trouble, { error, what: "the transfers", retry: refresh }) : h(Loading, { what: "the transfers" }));
  const { dags, entries, more } = data;
  const told = (text) => {
    setNotice({ status: "info", text });
    refresh();
  };
  return h(
    Page,
    { "data-testid": "s3-to-azure" },
    h(Heading, { as: "h1", size: "lg" }, "S3 → Azure"),
    error && h(Trouble, { error, what: "the transfers", retry: refresh }),
    h(Notice, { notice }),
    !entries.length && h(Empty, { title: "No sync has run yet", code: HOW_TO }, "Add one to a DAG, switch the DAG on, and its runs will show up here:"),
    entries.length > 0 && h(Totals, { entries }),
    dags.length > 0 &&
      h(
        Section,
        { title: "Syncs", level: "h2", id: "syncs", aside: more > 0 && h(Button, { size: "xs", variant: "outline", onClick: () => setMost(most + SHOWN) }, `Show ${count(Math.min(more, SHOWN))} more`) },
        h(Flex, { direction: "column", gap: 3 }, dags.flatMap(({ dag, syncs }) => syncs.map((sync) => h(SyncCard, { key: `${dag.dagId} ${sync.taskId}`, dag, sync, onBackfill: told, named: syncs.length > 1 })))),
      ),
    entries.length > 0 && h(Section, { title: named1(entries), level: "h2", id: "chart" }, h(RunsChart, { entries, withDag: dags.length > 1 })),
    entries.length > 0 && h(Runs, { entries, withDag: true, id: "runs" }),
  );
}

function SyncCard({ dag, sync, onBackfill, named }) {
  const newest = sync.entries.at(-1);
  return h(
    Card,
    { "data-testid": "sync-card", "data-dag": dag.dagId },
    h(
      Flex,
      { justify: "space-between", align: "baseline", gap: 3, wrap: "wrap", mb: 3 },
      h(
        Flex,
        { gap: 2, align: "center", wrap: "wrap", minW: 0 },
        h(Inside, { to: transfersPath(dag.dagId), fontWeight: "semibold", overflowWrap: "anywhere" }, named ? `${dag.dagId} · ${sync.groupId}` : dag.dagId),
        newest && h(StateBadge, { state: newest.state }),
        h(Text, { fontSize: "xs", color: "fg.muted" }, [dag.schedule ?? "no schedule", dag.isPaused && "paused"].filter(Boolean).join(", ")),
      ),
      newest &&
        h(
          Text,
          { fontSize: "sm", color: "fg.muted", fontVariantNumeric: "tabular-nums" },
          h(Inside, { to: transferPath(newest.dagId, newest.runId) }, longDay(newest.from, dag.zone)),
          newest.report ? `: ${counted(newest.report.copied, "object")}, ${bytes(newest.report.copied_bytes)}${newest.report.failed ? `, ${count(newest.report.failed)} failed` : ""}` : "",
        ),
    ),
    h(CalendarStrip, { days: sync.days, dag, onBackfill, small: true }),
    h(Text, { fontSize: "xs", color: "fg.muted", mt: 1.5 }, `${counted(sync.days.length, "day")}: ${summary(sync.days)}`),
  );
}

export function HomeRow() {
  const { data } = useLive(
    async (signal) => {
      const tasks = await reportTasks("~", null, signal, 100);
      const newest = new Map();
      for (const task of tasks) {
        const key = `${task.dag_id}\n${task.task_id}`;
        if (task.state !== "removed" && !newest.has(key)) newest.set(key, entry(task, null, "UTC"));
      }
      const shown = [...newest.values()].slice(0, SHOWN);
      return { shown: await readReports(shown, signal), more: newest.size - shown.length };
    },
    ({ shown }) => (isRunning(shown) ? HOME_WHILE_RUNNING : null),
    [],
  );
  // On somebody else's page: neither a placeholder nor an error, and nothing where there is nothing to say.
  if (!data?.shown.length) return null;
  return h(
    Flex,
    { as: "section", "aria-label": "S3 → Azure, last runs", align: "center", gap: 3, rowGap: 1, wrap: "wrap", borderWidth: "1px", borderColor: "border", borderRadius: "lg", px: 4, py: 2, my: 2, "data-testid": "home-row" },
    h(Inside, { to: "/plugin/s3-to-azure", fontWeight: "semibold", fontSize: "sm", color: "fg" }, "S3 → Azure"),
    h(
      Flex,
      { as: "ul", gap: 2, wrap: "wrap", listStyleType: "none", m: 0, p: 0, minW: 0 },
      data.shown.map((one) =>
        h(
          Flex,
          { as: "li", key: `${one.dagId} ${one.taskId}`, align: "center", gap: 2, fontSize: "sm", px: 2, py: 0.5, borderRadius: "md", bg: `${STATES[one.state].token}.subtle`, color: `${STATES[one.state].token}.fg`, "data-dag": one.dagId, "data-state": one.state, minW: 0 },
          h("span", { "aria-hidden": true }, STATES[one.state].sign),
          h(Inside, { to: transferPath(one.dagId, one.runId), color: "inherit", overflowWrap: "anywhere" }, one.dagId),
          h(
            Text,
            { as: "span", fontSize: "xs", whiteSpace: "nowrap" },
            [STATES[one.state].word, one.report && bytes(one.report.copied_bytes), one.report?.failed && `${count(one.report.failed)} failed`, one.from && shortDay(one.from)].filter(Boolean).join(" · "),
          ),
        ),
      ),
      data.more > 0 && h(Inside, { to: "/plugin/s3-to-azure", fontSize: "sm" }, `${count(data.more)} more`),
    ),
  );
}
