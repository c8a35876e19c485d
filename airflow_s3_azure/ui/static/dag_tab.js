/** The tab "Transfers" of a DAG: its last runs and its days of data. */
import { calendar } from "./calendar.js";
import { CalendarStrip } from "./calendar_strip.js";
import { counted } from "./format.js";
import { byData, dagOf, distinguish, dryRuns, entry, readEvents, readReports, reportTasks, RUNS, runsOf, setReports, syncsOf, totals } from "./history.js";
import { ChakraUI, h, React } from "./host.js";
import { useLive } from "./live.js";
import { Empty, Later, Loading, Notice, Page, Section, Trouble } from "./parts.js";
import { RunsChart } from "./runs_chart.js";
import { RunsTable, Totals } from "./runs_table.js";

const { Button, Flex, Heading, Text } = ChakraUI;
const WHILE_RUNNING = 10_000;
const MOST_EVENTS = 200;
const CHART = 440; // pixels of their places before they are there
const TABLE = 400;
export const HOW_TO = 'from airflow_s3_azure.sync_group import s3_to_azure_sync\n\ns3_to_azure_sync(s3_bucket="my-bucket", container_name="my-container")';
/** What a DAG without a sync shows, by the kind of its tasks: [title, text, code]. */
const WITHOUT_SYNC = {
  object: ["This DAG copies single objects", "The tab Transfer of each run lists what it copied. For whole prefixes, with totals and missing days, use a sync:", HOW_TO],
  audit: ["This DAG audits a container", "The tab Transfer of each run shows what it found."],
  preflight: ["This DAG checks a bucket and a container", "The tab Transfer of each run shows its checks."],
  none: ["This DAG has no S3 → Azure sync", "To copy what is under an S3 prefix every night, add one:", HOW_TO],
};

/**
 * The syncs of a DAG, and runs of them with the reports of the last ones: {syncs: [{groupId, entries, last, days}],
 * kinds, dag}. Shown before the reports are read that are requested one by one: {…, isPartial}.
 */
async function readDag(dagId, signal, show) {
  const [found, dag, runs, dry, { events }] = await Promise.all([
    syncsOf(dagId, signal),
    dagOf(dagId, signal),
    runsOf(dagId, signal),
    dryRuns(dagId, signal),
    readEvents({ source_dag_id: dagId }, signal, MOST_EVENTS),
  ]);
  const byRun = new Map(runs.items.map((run) => [run.dag_run_id, run]));
  // Of a DAG with more runs than were read, the calendar begins with the oldest of those.
  const since = runs.total > runs.items.length ? runs.items.at(-1).run_after : null;
  const syncs = await Promise.all(
    found.syncs.map(async ({ groupId, taskId }) => {
      const { items } = await reportTasks(dagId, { task_id: taskId }, signal, Math.max(1, runs.items.length));
      const entries = items
        .filter((task) => byRun.has(task.dag_run_id))
        .map((task) => entry(task, byRun.get(task.dag_run_id), dag.zone, dry))
        .filter((one) => one.state)
        .sort(byData);
      const last = distinguish(entries.slice(-RUNS));
      return { groupId, taskId, entries, last, days: calendar(entries, dag, { since }) };
    }),
  );
  const read = { ...found, dag, syncs, mark: markOf(syncs) };
  for (const { last } of syncs) setReports(last, events);
  show({ ...read, isPartial: true });
  await Promise.all(syncs.map(({ last }) => readReports(last, signal, { events })));
  return read;
}

const isRunning = (entries) => entries.some((one) => one.state === "running");
const markOf = (syncs) => syncs.flatMap(({ entries }) => entries).map((one) => one.runId + one.state).join();

export function DagTab({ dagId }) {
  const [notice, setNotice] = React.useState(null);
  const { data, error, refresh } = useLive(
    (signal, show) => readDag(dagId, signal, show),
    ({ syncs }) => (syncs.some((sync) => isRunning(sync.entries)) ? WHILE_RUNNING : null),
    [dagId],
  );
  if (!data) return h(Page, null, error ? h(Trouble, { error, what: "this DAG", retry: refresh }) : h(Loading, { what: "the runs" }));
  const notify = (text) => {
    setNotice({ status: "info", text });
    refresh();
  };
  return h(
    Page,
    { "data-testid": "transfers" },
    error && h(Trouble, { error, what: "this DAG", retry: refresh }),
    h(Notice, { notice }),
    data.syncs.length === 0 && h(WithoutSync, { kinds: data.kinds }),
    data.syncs.map((sync) => h(History, { key: sync.taskId, sync, dag: data.dag, named: data.syncs.length > 1, isPartial: data.isPartial, onBackfill: notify, onMore: refresh })),
  );
}

function WithoutSync({ kinds }) {
  const [title, text, code] = WITHOUT_SYNC[Object.keys(WITHOUT_SYNC).find((kind) => kinds.includes(kind)) ?? "none"];
  return h(Empty, { title, code }, text);
}

function History({ sync, dag, named, isPartial, onBackfill, onMore }) {
  const id = `history-${sync.groupId}`;
  if (!sync.entries.length) {
    return h(
      Empty,
      { title: named ? `${sync.groupId} has not run yet` : "No run yet" },
      dag.isPaused ? "The DAG is paused. Switch it on, or trigger it, with the buttons above." : "The first run will appear here; or trigger one with the button above.",
    );
  }
  const { unread } = totals(sync.last);
  return h(
    Flex,
    { as: "section", direction: "column", gap: 6, "aria-labelledby": named ? id : undefined, "data-testid": "history", "data-group": sync.groupId },
    named && h(Heading, { as: "h2", size: "md", id }, sync.groupId),
    h(Totals, { entries: sync.last, isPartial }),
    !isPartial && unread > 0 &&
      h(
        Flex,
        { align: "center", gap: 3, fontSize: "sm", color: "fg.muted", mt: -3 },
        h(Text, null, `Without the numbers of ${counted(unread, "run")}.`),
        h(Button, { size: "xs", variant: "outline", onClick: onMore }, "Load more"),
      ),
    h(Section, { title: "Days of data", id: `${id}-days` }, h(CalendarStrip, { days: sync.days, dag, onBackfill })),
    isPartial
      ? h(Loading, { what: "the numbers of the runs" })
      : [
          h(Later, { key: "chart", height: `${CHART}px` }, h(Section, { title: title(sync.last), id: `${id}-chart` }, h(RunsChart, { entries: sync.last }))),
          h(Later, { key: "table", height: `${TABLE}px` }, h(RunsTable, { entries: sync.last, id: `${id}-runs` })),
        ],
  );
}

const title = (entries) => (entries.length < RUNS ? counted(entries.length, "run") : `The last ${RUNS} runs`);
