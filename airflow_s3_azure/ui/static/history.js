/** Many runs: of one DAG, or of all, each with what its report says. */
import { get, getAll, path, xcom, xcomKeys } from "./api.js";
import { dayOf, isNumber } from "./format.js";
import { groupOf } from "./run.js";

const REPORT = "S3ToAzureReportOperator";
export const DAYS = 90;
export const RUNS = 50;
const DAY = 86_400_000;

/** Reports that were read: a run's report changes only when the task runs again. */
const known = new Map();

/** The syncs of a DAG as it is now: [{groupId, taskId}]. */
export async function syncsOf(dagId, signal) {
  const { tasks } = await get(path`dags/${dagId}/tasks`, {}, signal);
  return {
    syncs: tasks
      .filter((task) => task.operator_name === REPORT)
      .map((task) => ({ groupId: groupOf(task.task_id), taskId: task.task_id })),
    copiesObjects: tasks.some((task) => task.operator_name === "S3ToAzureBlobStreamOperator"),
  };
}

/** What the page must know of a DAG to say which days are missing. */
export async function dagOf(dagId, signal) {
  const found = await get(path`dags/${dagId}/details`, {}, signal);
  return {
    dagId,
    zone: found.timezone ?? "UTC",
    schedule: found.timetable_summary ?? null,
    isDaily: runsEveryDay(found.timetable_summary),
    isPaused: found.is_paused,
    start: found.start_date ?? null,
  };
}

/** Whether a schedule has a run for each day of the calendar: then a day without one is missing. */
export function runsEveryDay(summary) {
  if (summary === "@daily" || summary === "@hourly") return true;
  const fields = (summary ?? "").trim().split(/\s+/);
  return fields.length === 5 && fields.slice(2).every((field) => field === "*");
}

/** All runs of a DAG with data of the last 90 days, and at least the last 50, newest first. */
export async function runsOf(dagId, signal) {
  const where = path`dags/${dagId}/dagRuns`;
  const since = new Date(Date.now() - (DAYS + 2) * DAY).toISOString();
  const recent = await getAll(where, "dag_runs", { run_after_gte: since, order_by: "-run_after" }, signal, 1000);
  if (recent.length >= RUNS) return recent;
  return getAll(where, "dag_runs", { order_by: "-run_after" }, signal, RUNS);
}

/** The report tasks of one sync, or of all DAGs' where dagId is "~", newest data first. */
export const reportTasks = (dagId, taskId, signal, most = 1000) =>
  getAll(
    path`dags/${dagId}/dagRuns/${"~"}/taskInstances`,
    "task_instances",
    { operator: REPORT, ...(taskId ? { task_id: taskId } : {}), order_by: "-run_after" },
    signal,
    most,
  );

/** What became of a report's run: "success", "failed", "running", "skipped", or null: nothing yet. */
export function reportState(task) {
  if (["success", "skipped"].includes(task.state)) return task.state;
  if (["failed", "upstream_failed"].includes(task.state)) return "failed";
  return task.state === "removed" ? null : "running";
}

/** One run of one sync. `day` is the day of its data in the DAG's zone. */
export function entry(task, run, zone) {
  const from = run?.data_interval_start ?? run?.logical_date ?? task.logical_date ?? run?.run_after ?? task.run_after;
  const state = run && ["failed", "success"].includes(run.state) && reportState(task) === "running" ? run.state : reportState(task);
  return {
    dagId: task.dag_id,
    runId: task.dag_run_id,
    taskId: task.task_id,
    groupId: groupOf(task.task_id),
    task,
    state,
    from,
    to: run?.data_interval_end ?? null,
    runAfter: run?.run_after ?? task.run_after,
    startedAt: run?.start_date ?? task.start_date,
    seconds: seconds(run?.start_date, run?.end_date),
    type: run?.run_type ?? null,
    isBackfill: run?.run_type === "backfill",
    day: from ? dayOf(from, zone) : null,
    zone,
    report: null,
  };
}

const seconds = (from, to) => (from && to ? (new Date(to) - new Date(from)) / 1000 : null);

/** By the day of their data, then by when they ran; the oldest first. */
export const byData = (a, b) =>
  new Date(a.from) - new Date(b.from) || new Date(a.startedAt ?? 0) - new Date(b.startedAt ?? 0);

/** Put into each entry what its report says. */
export async function readReports(entries, signal) {
  const wanted = entries.filter((one) => one.state === "success" || one.state === "failed");
  const name = (one) => [one.dagId, one.runId, one.taskId, one.task.try_number, one.task.end_date].join("\n");
  const unknown = wanted.filter((one) => !known.has(name(one)));
  // A failed run may have no report; asking for it would be an error, so the list is asked first, once for each sync.
  const failed = Map.groupBy(unknown.filter((one) => one.state === "failed"), (one) => `${one.dagId}\n${one.taskId}`);
  const there = new Set();
  await Promise.all(
    [...failed.values()].map(async ([{ dagId, taskId }]) => {
      const keys = await xcomKeys(dagId, "~", taskId, { xcom_key: "return_value" }, signal);
      for (const key of keys) there.add([dagId, key.run_id, taskId].join("\n"));
    }),
  );
  await Promise.all(
    unknown.map(async (one) => {
      const isThere = one.state === "success" || there.has([one.dagId, one.runId, one.taskId].join("\n"));
      const value = isThere ? await xcom(one.dagId, one.runId, one.taskId, "return_value", -1, signal) : null;
      known.set(name(one), value);
    }),
  );
  for (const one of wanted) one.report = known.get(name(one)) ?? null;
  return entries;
}

/** Bytes per second of a report, while it copied. */
export function throughput(report) {
  if (!report?.copied_bytes) return null;
  if (isNumber(report.bytes_per_second)) return report.bytes_per_second;
  return report.seconds ? report.copied_bytes / report.seconds : null;
}

/** What many runs amount to. */
export function totals(entries) {
  const sum = (value) => entries.reduce((all, one) => all + (value(one) || 0), 0);
  const timed = entries.filter((one) => throughput(one.report));
  const copying = timed.reduce((all, one) => all + one.report.copied_bytes / throughput(one.report), 0);
  return {
    runs: entries.length,
    good: entries.filter((one) => one.state === "success").length,
    bad: entries.filter((one) => one.state === "failed").length,
    running: entries.filter((one) => one.state === "running").length,
    backfills: entries.filter((one) => one.isBackfill).length,
    copied: sum((one) => one.report?.copied),
    bytes: sum((one) => one.report?.copied_bytes),
    unchanged: sum((one) => one.report?.unchanged),
    failed: sum((one) => one.report?.failed),
    rate: copying ? timed.reduce((all, one) => all + one.report.copied_bytes, 0) / copying : null,
  };
}

/**
 * The last 90 days, each {day, state, entries}; the state is that of the day's newest run, or "missing" where a daily
 * DAG that should have run has none, or "none". Ends with yesterday, or with today if today has a run.
 */
export function calendar(entries, dag, now = Date.now(), days = DAYS) {
  const byDay = Map.groupBy(entries.filter((one) => one.state), (one) => one.day);
  const today = dayOf(now, dag.zone);
  const last = byDay.has(today) ? today : shiftDay(today, -1);
  const first = firstDay(entries);
  const lag = lagOf(entries);
  const found = [];
  for (let back = days - 1; back >= 0; back -= 1) {
    const day = shiftDay(last, -back);
    const here = (byDay.get(day) ?? []).toSorted((a, b) => new Date(a.startedAt ?? 0) - new Date(b.startedAt ?? 0));
    let state = here.at(-1)?.state ?? "none";
    if (!here.length && dag.isDaily && first && day >= first && midnight(day) + lag < now) state = "missing";
    found.push({ day, state, entries: here });
  }
  return found;
}

/** Days are expected from the first that has a run: a DAG that was made long before misses nothing. */
function firstDay(entries) {
  const days = entries.filter((one) => one.type !== "manual" && one.day).map((one) => one.day);
  return days.length ? days.reduce((a, b) => (a < b ? a : b)) : null;
}

/** Milliseconds from the beginning of a day to when its run is due, as the newest scheduled run shows it. */
function lagOf(entries) {
  const newest = entries.filter((one) => one.type === "scheduled").toSorted(byData).at(-1);
  const lag = newest ? new Date(newest.runAfter) - midnight(newest.day) : 0;
  return Math.max(lag, DAY) + 15 * 60_000;
}

const midnight = (day) => Date.parse(`${day}T00:00:00Z`);

export function shiftDay(day, by) {
  return new Date(midnight(day) + by * DAY).toISOString().slice(0, 10);
}
