/** The runs of one DAG, each with its report. */
import { get, getList, ifAllowed, path, xcom, xcomKeys } from "./api.js";
import { clock, dayOf, isNumber, longDay, shortDay } from "./format.js";
import { OPERATORS } from "./host.js";
import { groupOf } from "./run_reader.js";

export const REPORT = "S3ToAzureReportOperator";
const DRY_RUN_KEY = "s3_to_azure_dry_run";
export const RUNS = 50;
const MOST_RUNS = 300; // of a DAG that runs more than hourly the calendar is shorter
export const REPORTS_AT_ONCE = 10; // reports that one reading requests one by one
const DAY = 86_400_000;

/** Reports that were read: a run's report changes only when the task runs again. */
const known = new Map();
const dags = new Map();

/** What a DAG has as it is now: {syncs: [{groupId, taskId}], kinds: the kinds of its tasks that are ours, as in OPERATORS}. */
export async function syncsOf(dagId, signal) {
  const { tasks } = await get(path`dags/${dagId}/tasks`, {}, signal);
  return {
    syncs: tasks
      .filter((task) => task.operator_name === REPORT)
      .map((task) => ({ groupId: groupOf(task.task_id), taskId: task.task_id })),
    kinds: tasks.map((task) => OPERATORS[task.operator_name]).filter(Boolean),
  };
}

/** What a page needs of a DAG to find missing days. Its time zone and schedule are read once. */
export async function dagOf(dagId, signal, listed) {
  if (!dags.has(dagId) || !listed) dags.set(dagId, await get(path`dags/${dagId}/details`, {}, signal));
  const found = dags.get(dagId);
  return {
    dagId,
    zone: found.timezone ?? "UTC",
    schedule: found.timetable_summary ?? null,
    isDaily: runsEveryDay(found.timetable_summary),
    isPaused: (listed ?? found).is_paused,
    start: found.start_date ?? null,
  };
}

/** Whether a schedule has a run for each day of the calendar: then a day without one is missing. */
export function runsEveryDay(summary) {
  if (summary === "@daily" || summary === "@hourly") return true;
  const fields = (summary ?? "").trim().split(/\s+/);
  return fields.length === 5 && fields.slice(2).every((field) => field === "*");
}

/** The newest runs of a DAG, and whether there are older ones: {items, total}. */
export const runsOf = (dagId, signal) =>
  getList(path`dags/${dagId}/dagRuns`, "dag_runs", { order_by: "-run_after" }, signal, MOST_RUNS);

/** The report tasks of a DAG, or of all where dagId is "~", the newest data first: {items, total}. */
export const reportTasks = (dagId, query, signal, most) =>
  getList(
    path`dags/${dagId}/dagRuns/${"~"}/taskInstances`,
    "task_instances",
    { operator: REPORT, order_by: "-run_after", ...query },
    signal,
    most,
  );

const runKey = (dagId, runId, taskId) => [dagId, runId, taskId].join("\n");

/** The dry runs of a DAG, or of all where dagId is "~", as a set that isDry() reads. */
export async function dryRuns(dagId, signal) {
  const keys = await ifAllowed(() => xcomKeys(dagId, "~", "~", { xcom_key: DRY_RUN_KEY }, signal, 300), []);
  return new Set(keys.map((key) => runKey(key.dag_id, key.run_id, key.task_id)));
}

export const isDry = (dry, task) => dry.has(runKey(task.dag_id, task.dag_run_id, task.task_id));

/** The state of a report: "success", "failed", "running", "skipped", or null: none yet. */
export function reportState(task) {
  if (["success", "skipped"].includes(task.state)) return task.state;
  if (["failed", "upstream_failed"].includes(task.state)) return "failed";
  return task.state === "removed" ? null : "running";
}

const TYPES = /^(scheduled|backfill|manual|asset_triggered)__/;

/** One run of one sync. `day` is the day of its data in the DAG's zone; a dry run has the state "dry". */
export function entry(task, run, zone, dry) {
  const from = run?.data_interval_start ?? run?.logical_date ?? task.logical_date ?? run?.run_after ?? task.run_after;
  const ended = run && ["failed", "success"].includes(run.state) && reportState(task) === "running" ? run.state : reportState(task);
  const type = run?.run_type ?? TYPES.exec(task.dag_run_id)?.[1] ?? null;
  return {
    dagId: task.dag_id,
    runId: task.dag_run_id,
    taskId: task.task_id,
    groupId: groupOf(task.task_id),
    task,
    state: dry && isDry(dry, task) && ended === "success" ? "dry" : ended,
    from,
    to: run?.data_interval_end ?? null,
    runAfter: run?.run_after ?? task.run_after,
    startedAt: run?.start_date ?? task.start_date,
    endedAt: run?.end_date ?? task.end_date,
    seconds: seconds(run?.start_date, run?.end_date),
    type,
    isBackfill: type === "backfill",
    day: from ? dayOf(from, zone) : null,
    zone,
    time: null,
    report: null,
    isRead: false,
  };
}

const seconds = (from, to) => (from && to ? (new Date(to) - new Date(from)) / 1000 : null);

/** By the day of their data, then by when they ran; the oldest first. */
export const byData = (a, b) =>
  new Date(a.from) - new Date(b.from) || new Date(a.startedAt ?? 0) - new Date(b.startedAt ?? 0);

/** Give the entries that share their day of data with another one a time: of the data, or else of the run, which may be on another day. */
export function distinguish(entries) {
  for (const group of Map.groupBy(entries, (one) => one.day).values()) {
    const byTime = new Set(group.map((one) => clock(one.from, one.zone)));
    for (const one of group) {
      if (group.length === 1) one.time = null;
      else if (byTime.size === group.length) one.time = clock(one.from, one.zone);
      else one.time = `ran ${clock(one.startedAt ?? one.from, one.zone)}`;
    }
  }
  return entries;
}

export const dayName = (one) => [longDay(one.from, one.zone), one.time].filter(Boolean).join(", ");
export const shortName = (one) => [shortDay(one.from, one.zone), one.time].filter(Boolean).join(" ");

const version = (one) => [one.dagId, one.runId, one.taskId, one.task.try_number, one.task.end_date].join("\n");

/**
 * Put its report into each entry. Asset events have the numbers of up to 100 good runs in one response; the
 * reports of the others are requested one by one, the `most` newest of them.
 */
export async function readReports(entries, signal, { most = REPORTS_AT_ONCE, events } = {}) {
  const ended = setReports(entries, events);
  const unknown = ended.filter((one) => !known.has(version(one))).slice(-most);
  const there = await existing(unknown.filter((one) => one.state === "failed"), signal);
  await Promise.all(
    unknown.map(async (one) => {
      const exists = one.state !== "failed" || there.has(runKey(one.dagId, one.runId, one.taskId));
      known.set(version(one), exists ? await xcom(one.dagId, one.runId, one.taskId, "return_value", -1, signal) : null);
    }),
  );
  setReports(ended);
  return entries;
}

/** Put those reports into the entries that were read, or that asset events have. Returns the entries that may have one. */
export function setReports(entries, events) {
  const ended = entries.filter((one) => ["success", "failed", "dry"].includes(one.state));
  for (const one of ended) {
    const extra = events?.get(runKey(one.dagId, one.runId, one.taskId));
    if (extra && one.state === "success" && !known.has(version(one))) known.set(version(one), extra);
    one.report = known.get(version(one)) ?? null;
    one.isRead = known.has(version(one));
  }
  return ended;
}

/** The failed entries that have a report: requesting one that does not exist is an error. */
async function existing(failed, signal) {
  if (!failed.length) return new Set();
  const only = (name) => (failed.every((one) => one[name] === failed[0][name]) ? failed[0][name] : "~");
  const oldest = failed.reduce((first, one) => (first < one.runAfter ? first : one.runAfter), failed[0].runAfter);
  const query = { xcom_key: "return_value", task_id_pattern: only("taskId") === "~" ? "report" : undefined, run_after_gte: oldest };
  const keys = await Promise.all(
    [...new Set(failed.map((one) => one.dagId))].map((dagId) => xcomKeys(dagId, only("runId"), only("taskId"), query, signal, 100)),
  );
  return new Set(keys.flat().map((key) => runKey(key.dag_id, key.run_id, key.task_id)));
}

/** The numbers of good runs from their asset events, by run: {events, total}. */
export async function readEvents(query, signal, most) {
  const { items, total } = await ifAllowed(
    () => getList("assets/events", "asset_events", { order_by: "-timestamp", ...query }, signal, most),
    { items: [], total: 0 },
  );
  const events = new Map();
  for (const { source_dag_id: dagId, source_run_id: runId, source_task_id: taskId, extra } of items) {
    const key = runKey(dagId, runId, taskId);
    // The newest first: a report that ran again made another event.
    if (isNumber(extra?.copied_bytes) && !events.has(key)) events.set(key, extra);
  }
  return { events, total };
}

/** Bytes per second of a report, while it copied. */
export function throughput(report) {
  if (!report?.copied_bytes) return null;
  const seconds = report.copy_seconds ?? report.seconds;
  return seconds ? report.copied_bytes / seconds : (report.bytes_per_second ?? null);
}

/** A good run over a source in which nothing had changed. */
export const isQuiet = (report) => Boolean(report) && !report.dry_run && !report.copied && !report.failed && !(report.missing > 0);

/** What many runs amount to. Dry runs count for nothing. */
export function totals(entries) {
  const real = entries.filter((one) => one.state !== "dry");
  const sum = (value) => real.reduce((all, one) => all + (value(one) || 0), 0);
  const timed = real.filter((one) => throughput(one.report));
  const copying = timed.reduce((all, one) => all + one.report.copied_bytes / throughput(one.report), 0);
  return {
    runs: real.length,
    dry: entries.length - real.length,
    good: real.filter((one) => one.state === "success").length,
    bad: real.filter((one) => one.state === "failed").length,
    running: real.filter((one) => one.state === "running").length,
    skipped: real.filter((one) => one.state === "skipped").length,
    backfills: real.filter((one) => one.isBackfill).length,
    copied: sum((one) => one.report?.copied),
    bytes: sum((one) => one.report?.copied_bytes),
    failed: sum((one) => one.report?.failed),
    rate: copying ? timed.reduce((all, one) => all + one.report.copied_bytes, 0) / copying : null,
    unread: real.filter((one) => ["success", "failed"].includes(one.state) && !one.isRead).length,
  };
}

