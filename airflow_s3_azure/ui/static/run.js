/** What a run amounts to, from what its tasks report. Pure. */
import { isNumber } from "./format.js";

const ENDED = new Set(["success", "failed", "skipped", "upstream_failed", "removed"]);
const FAILED = new Set(["failed", "upstream_failed"]);

export const hasEnded = (task) => ENDED.has(task?.state);
export const hasFailed = (task) => FAILED.has(task?.state);

/** The plans of a sync, one for each of its prefixes, as one; null if there is none. */
export function sumPlans(found) {
  const plans = found.filter(Boolean);
  if (!plans.length) return null;
  const sum = (value) => plans.reduce((total, plan) => total + (value(plan) ?? 0), 0);
  const costs = plans.map((plan) => plan.cost).filter(Boolean);
  return {
    ...plans[0],
    sources: plans.map((plan) => plan.source).filter(Boolean),
    objects: sum((plan) => plan.objects),
    counts: Object.fromEntries(
      ["copy", "unchanged", "skipped"].map((name) => [name, sum((plan) => plan.counts?.[name])]),
    ),
    size: sum((plan) => plan.size),
    extra: sum((plan) => plan.extra),
    cost: costs.length ? sumCosts(costs) : null,
  };
}

function sumCosts(costs) {
  const names = ["objects", "bytes", "s3_requests", "azure_requests", "egress_gib"];
  const prices = costs.map((cost) => cost.egress_price);
  return {
    ...Object.fromEntries(names.map((name) => [name, total(costs.map((cost) => cost[name]))])),
    egress_price: prices.every(isNumber) ? total(prices) : null,
  };
}

const numbers = (values) => values.filter(isNumber);
const total = (values) => numbers(values).reduce((sum, value) => sum + value, 0);

/**
 * What a sync amounts to: the report's numbers where there is a report, else what is known so far.
 * `bytes_per_second`: now while it runs, over the time in which batches copied when it ended.
 */
export function outcome(sync, run) {
  const { batches, plan, reported, report } = sync;
  const failedBatches = batches.filter(({ task }) => hasFailed(task));
  const running = !hasEnded(report ?? sync.plans[0]) && !["success", "failed"].includes(run?.state);
  const live = batches.filter(({ progress }) => progress);
  const soFar = { ...countsSoFar(sync, live), bytes_per_second: running && live.length ? rateOf(live) : null };
  const now = reported ?? soFar;
  const rate = reported ? throughput(reported, batches) : soFar.bytes_per_second;
  return {
    ...now,
    source: reported?.source ?? plan?.source ?? null,
    sources: plan?.sources ?? [],
    destination: reported?.destination ?? plan?.destination ?? null,
    ledger: reported?.ledger ?? plan?.ledger ?? null,
    dryRun: Boolean(reported?.dry_run ?? plan?.dry_run),
    cost: reported?.cost ?? plan?.cost ?? null,
    planned: plan?.objects ?? null,
    toCopy: plan?.counts.copy ?? null,
    size: plan?.size ?? null,
    doneSize: now.copied_bytes,
    bytes_per_second: rate,
    isReported: Boolean(reported),
    left: running && plan && rate > 1 ? Math.max(0, plan.size - soFar.copied_bytes) / rate : null,
    running,
    failedBatches,
    incompleteBatches: batches.filter(({ isIncomplete, task }) => isIncomplete && task.state === "success"),
    planFailed: sync.plans.some(hasFailed) || hasFailed(sync.batchesTask),
    reportFailed: hasFailed(report),
    verifiedShare: verifiedShare(now),
  };
}

function countsSoFar({ batches, plan }, live) {
  const of = (name) =>
    total(batches.map(({ summary, task, objects }) => summary?.[name] ?? (name === "copied" && task.state === "success" ? objects : 0)));
  return {
    objects: plan?.objects ?? null,
    copied: of("copied") + total(live.map(({ progress }) => progress.objects)),
    unchanged: (plan?.counts.unchanged ?? 0) + of("unchanged"),
    skipped: (plan?.counts.skipped ?? 0) + of("skipped"),
    failed: of("failed"),
    deleted: 0,
    missing: 0,
    copied_bytes:
      total(batches.map(({ task, summary, size }) => summary?.copied_bytes ?? (task.state === "success" ? size : 0))) +
      total(live.map(({ progress }) => progress.bytes)),
    bytes_read: null,
    verified: null,
  };
}

const rateOf = (live) =>
  total(live.filter(({ task }) => task.state === "running").map(({ progress }) => progress.bytes_per_second));

/** Bytes per second over the time in which batches copied: the wait for a retry is not part of it. */
function throughput(reported, batches) {
  if (!reported.copied_bytes) return null;
  const copying = reported.copy_seconds ?? copyingSeconds(batches.map(({ task }) => task));
  return copying ? reported.copied_bytes / copying : reported.bytes_per_second;
}

/** The seconds in which at least one of the tasks ran; null if none did. */
export function copyingSeconds(tasks) {
  const spans = tasks
    .filter((task) => task.start_date && task.end_date)
    .map((task) => [new Date(task.start_date) / 1000, new Date(task.end_date) / 1000])
    .sort((a, b) => a[0] - b[0]);
  let seconds = 0;
  let until = -Infinity;
  for (const [start, end] of spans) {
    seconds += Math.max(0, end - Math.max(start, until));
    until = Math.max(until, end);
  }
  return spans.length ? seconds : null;
}

/** Values of `verified` that compare with no checksum that S3 stored. */
export const UNPROVEN = new Set(["blocks", "transport"]);

/** How many copied objects were verified against a checksum that S3 stored; null if nothing was copied. */
export function verifiedShare({ verified, copied }) {
  if (!verified || !copied) return null;
  const whole = total(Object.values(verified));
  return whole ? { whole, proven: whole - [...UNPROVEN].reduce((sum, how) => sum + (verified[how] ?? 0), 0) } : null;
}

/** The states of a batch, the most urgent first. */
export const KINDS = ["failed", "missing", "running", "retry", "waiting", "done"];

/** The kind of a batch or of a task. */
export function stateKind(state) {
  if (state === "success" || state === "skipped" || state === "removed") return "done";
  if (FAILED.has(state)) return "failed";
  if (state === "running" || state === "restarting" || state === "deferred") return "running"; // deferred: server-side copy
  if (state === "up_for_retry") return "retry";
  return "waiting";
}

/** A batch that was marked as a success, but has keys without a copy, is not done. */
export const kindOf = ({ task, isIncomplete }) => (isIncomplete && task.state === "success" ? "missing" : stateKind(task.state));

/** The failed keys that are known, each with its batch, for the link to the log. */
export function failures(sync) {
  const found = new Map();
  for (const { summary, task, index } of sync.batches) {
    if (!hasFailed(task) && task.state !== "up_for_retry") continue;
    for (const one of summary?.failures ?? []) found.set(one.key, { ...one, batch: index });
  }
  const failed = sync.batches.filter(({ task }) => hasFailed(task));
  const only = failed.length === 1 ? failed[0].index : null;
  for (const one of sync.reported?.failures ?? []) {
    if (!found.has(one.key)) found.set(one.key, { ...one, batch: one.batch ?? only });
  }
  return [...found.values()];
}

/** What to clear so that everything that failed is done again, as Airflow's clear takes it; null: nothing failed. */
export function retryTargets(sync) {
  const plans = [...sync.plans, sync.batchesTask].filter(hasFailed);
  if (plans.length) return plans.filter((task) => task.state === "failed" || plans.every((one) => one.state !== "failed")).map(target);
  // A copy that waits for a failed approval would be upstream_failed again; what follows the approval is cleared with it.
  const blocking = sync.copies.some((task) => task.state === "upstream_failed") ? sync.others.filter((task) => task.state === "failed") : [];
  if (blocking.length) return blocking.map(target);
  const copies = [...sync.copies.filter(hasFailed), ...sync.batches.filter((row) => kindOf(row) === "missing").map(({ task }) => task)];
  if (copies.length) return copies.map(target);
  const rest = [...sync.others, sync.report].filter(hasFailed);
  return rest.length ? rest.map(target) : null;
}

const target = (task) => (task.map_index >= 0 ? [task.task_id, task.map_index] : task.task_id);
