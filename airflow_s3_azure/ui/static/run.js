/** One run: what its tasks say, read in as few requests as it takes, and what that amounts to. */
import { get, getAll, hostTime, path, tellsProgress, xcom, xcomKeys } from "./api.js";
import { isNumber } from "./format.js";
import { OPERATORS } from "./host.js";

const ENDED = new Set(["success", "failed", "skipped", "upstream_failed", "removed"]);
const FAILED = new Set(["failed", "upstream_failed"]);
const PROGRESSING = new Set(["running", "up_for_retry", "up_for_reschedule"]);
const MOST_LIVE = 40; // batches whose progress is asked for; more are never seen at once
const MOST_FAILED = 25; // failed batches whose keys are asked for without being told to
const WHOLE_EVERY = 10; // reads, of which the others ask only for what changed
const OVERLAP = 15_000; // ms by which the reads of what changed overlap

export const hasEnded = (task) => ENDED.has(task?.state);
export const hasFailed = (task) => FAILED.has(task?.state);

/** "a.b.plan" → "a.b" */
export const groupOf = (taskId) => taskId.slice(0, Math.max(0, taskId.lastIndexOf(".")));

const identity = (task) => `${task.task_id}\n${task.map_index}`;
const execution = (task) => `${identity(task)}\n${task.try_number}\n${task.end_date}`;

/** Reads a run again and again; keeps what cannot change any more. */
export class RunReader {
  constructor(dagId, runId) {
    this.dagId = dagId;
    this.runId = runId;
    this.tasks = new Map();
    this.values = new Map();
    this.reads = 0;
    this.newest = 0;
  }

  /** Read, and return {run, syncs, objects, mayProgress}. */
  async read(signal) {
    // The run first: once it has ended its tasks do not change, so what is read after it is the last word.
    const run = await get(path`dags/${this.dagId}/dagRuns/${this.runId}`, {}, signal);
    await this.#readTasks(signal, ["success", "failed"].includes(run.state));
    const tasks = [...this.tasks.values()];
    const byGroup = Map.groupBy(
      tasks.filter((task) => OPERATORS[task.operator] !== "object"),
      (task) => groupOf(task.task_id),
    );
    const syncs = await Promise.all([...byGroup].map(([id, members]) => this.#readSync(id, members, signal)));
    const objects = tasks.filter((task) => OPERATORS[task.operator] === "object");
    await this.#readProgress(objects, signal);
    await this.#readObjects(objects, signal);
    this.reads += 1;
    return { run, syncs: syncs.filter((sync) => sync.plans.length || sync.copies.length), objects: objects.map((task) => this.#row(task)) };
  }

  /** The XCom of a task that has ended, asked for once; null if it has none. */
  async summary(task, signal) {
    const key = `${execution(task)}\nreturn_value`;
    if (!this.values.has(key)) {
      let value = null;
      if (await this.#has(task, "return_value", signal)) {
        value = await xcom(this.dagId, this.runId, task.task_id, "return_value", task.map_index, signal);
      }
      this.values.set(key, value);
    }
    return this.values.get(key);
  }

  async #readTasks(signal, isLast) {
    const query = { operator: Object.keys(OPERATORS) };
    const whole = isLast || this.reads % WHOLE_EVERY === 0;
    const asked = hostTime;
    if (!whole) query.updated_at_gte = new Date(this.newest - OVERLAP).toISOString();
    const found = await getAll(path`dags/${this.dagId}/dagRuns/${this.runId}/taskInstances`, "task_instances", query, signal);
    if (whole) this.tasks.clear(); // a mapped task that was not expanded yet has gone
    for (const task of found) {
      if (task.map_index >= 0) this.tasks.delete(`${task.task_id}\n-1`);
      this.tasks.set(identity(task), task);
    }
    this.newest = asked;
  }

  async #has(task, key, signal) {
    if (task.state === "success") return true;
    if (!hasEnded(task) && task.state !== "up_for_retry") return false;
    const found = await xcomKeys(this.dagId, this.runId, task.task_id, { map_index: task.map_index }, signal);
    return found.some((entry) => entry.key === key && entry.map_index === task.map_index);
  }

  async #value(task, key, signal) {
    if (task?.state !== "success") return null;
    const name = `${execution(task)}\n${key}`;
    if (!this.values.has(name)) {
      this.values.set(name, await xcom(this.dagId, this.runId, task.task_id, key, task.map_index, signal));
    }
    return this.values.get(name);
  }

  async #readSync(id, members, signal) {
    const of = (kind) =>
      members.filter((task) => OPERATORS[task.operator] === kind).sort((a, b) => a.map_index - b.map_index);
    const [plans, batches, copies, reports] = [of("plan"), of("batches"), of("copy"), of("report")];
    const report = reports[0];
    const [found, lists, said] = await Promise.all([
      Promise.all(plans.map((task) => this.#value(task, "plan", signal))),
      Promise.all((batches.length ? batches : plans).map((task) => this.#value(task, "return_value", signal))),
      report && hasEnded(report) ? this.summary(report, signal) : null,
    ]);
    const references = lists.flatMap((list) => (Array.isArray(list) ? list : []));
    const mapped = copies.filter((task) => task.map_index >= 0);
    await this.#readProgress(mapped, signal);
    const failed = mapped.filter((task) => hasFailed(task) || task.state === "up_for_retry").slice(0, MOST_FAILED);
    await Promise.all(failed.map((task) => this.summary(task, signal)));
    const plan = sumPlans(found);
    return {
      id,
      plans,
      copies,
      report,
      others: [...of("approve"), ...of("delete")],
      plan,
      said,
      batches: mapped.map((task) => this.#row(task, references[task.map_index])),
    };
  }

  #row(task, reference) {
    return {
      task,
      index: task.map_index,
      label: reference?.label ?? task.rendered_map_index ?? task.task_id,
      objects: reference?.objects ?? null,
      size: reference?.size ?? null,
      summary: this.values.get(`${execution(task)}\nreturn_value`) ?? null,
      progress: hasEnded(task) ? null : (this.values.get(`${identity(task)}\nprogress`) ?? null),
    };
  }

  async #readProgress(tasks, signal) {
    const live = tasks.filter((task) => PROGRESSING.has(task.state)).slice(0, MOST_LIVE);
    if (!live.length || !(await tellsProgress(signal))) return;
    await Promise.all(
      live.map(async (task) => {
        const where = path`dags/${this.dagId}/dagRuns/${this.runId}/taskInstances/${task.task_id}/state-store`;
        const found = await get(where, { map_index: task.map_index }, signal);
        const entry = found.task_state_store.find(({ key }) => key === "progress");
        if (entry) this.values.set(`${identity(task)}\nprogress`, entry.value);
      }),
    );
  }

  async #readObjects(tasks, signal) {
    // The results of mapped copies are asked for where their rows are looked at; of a few, all are.
    const few = tasks.filter(hasEnded).slice(0, MOST_FAILED);
    await Promise.all(few.map((task) => this.summary(task, signal)));
  }
}

/** The plans of a sync, one for each of its prefixes, as one. */
function sumPlans(found) {
  const plans = found.filter(Boolean);
  if (!plans.length) return null;
  const sum = (value) => plans.reduce((total, plan) => total + (value(plan) ?? 0), 0);
  return {
    ...plans[0],
    sources: plans.map((plan) => plan.source).filter(Boolean),
    objects: sum((plan) => plan.objects),
    counts: Object.fromEntries(
      ["copy", "unchanged", "skipped"].map((name) => [name, sum((plan) => plan.counts?.[name])]),
    ),
    size: sum((plan) => plan.size),
    extra: sum((plan) => plan.extra),
  };
}

const numbers = (values) => values.filter(isNumber);
const total = (values) => numbers(values).reduce((sum, value) => sum + value, 0);

/**
 * What a sync amounts to: the report's numbers where there is a report, else what is known so far.
 * `rate` is bytes per second: now while it runs, over the whole copy when it ended.
 */
export function outcome(sync, run) {
  const { batches, plan, said, report } = sync;
  const failedBatches = batches.filter(({ task }) => hasFailed(task));
  const running = !hasEnded(report ?? sync.plans[0]) && !["success", "failed"].includes(run?.state);
  const states = Map.groupBy(batches, ({ task }) => stateKind(task.state));
  const live = batches.filter(({ progress }) => progress);
  const of = (name) => total(batches.map(({ summary, task, objects }) => summary?.[name] ?? (name === "copied" && task.state === "success" ? objects : 0)));
  const soFar = {
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
    bytes_per_second: running && live.length ? total(live.filter(({ task }) => task.state === "running").map(({ progress }) => progress.bytes_per_second)) : null,
    seconds: null,
  };
  const numbersNow = said ?? soFar;
  const rate = numbersNow.bytes_per_second ?? (said && said.seconds ? said.copied_bytes / said.seconds : null);
  const left = running && plan && rate > 1 ? Math.max(0, plan.size - soFar.copied_bytes) / rate : null;
  return {
    ...numbersNow,
    source: said?.source ?? plan?.source ?? null,
    sources: plan?.sources ?? [],
    destination: said?.destination ?? plan?.destination ?? null,
    ledger: said?.ledger ?? plan?.ledger ?? null,
    dryRun: Boolean(said?.dry_run ?? plan?.dry_run),
    toCopy: plan?.counts.copy ?? null,
    size: plan?.size ?? null,
    doneSize: said ? said.copied_bytes : soFar.copied_bytes,
    bytes_per_second: rate,
    isReported: Boolean(said),
    left,
    running,
    states,
    failedBatches,
    planFailed: sync.plans.some(hasFailed),
    reportFailed: hasFailed(report),
    verifiedShare: verifiedShare(numbersNow),
  };
}

/** What `verified` says where nothing that S3 stored was held against the copy. */
export const UNPROVEN = new Set(["blocks", "transport"]);

/** What was proven against a checksum that S3 stored, of what was copied; null if nothing was. */
export function verifiedShare({ verified, copied }) {
  if (!verified || !copied) return null;
  const whole = total(Object.values(verified));
  return whole ? { whole, proven: whole - [...UNPROVEN].reduce((sum, how) => sum + (verified[how] ?? 0), 0) } : null;
}

/** The five things a batch can be, in the order in which one wants to see them. */
export const KINDS = ["failed", "running", "retry", "waiting", "done"];
export function stateKind(state) {
  if (state === "success" || state === "skipped" || state === "removed") return "done";
  if (FAILED.has(state)) return "failed";
  if (state === "running" || state === "restarting" || state === "deferred") return "running"; // deferred: Azure copies
  if (state === "up_for_retry") return "retry";
  return "waiting";
}

/** The failed keys that are known, each with the batch whose log says more. */
export function failures(sync) {
  const found = new Map();
  for (const { summary, task, index } of sync.batches) {
    if (!hasFailed(task) && task.state !== "up_for_retry") continue;
    for (const one of summary?.failures ?? []) found.set(one.key, { ...one, batch: index });
  }
  const failed = sync.batches.filter(({ task }) => hasFailed(task));
  const only = failed.length === 1 ? failed[0].index : null;
  for (const one of sync.said?.failures ?? []) {
    if (!found.has(one.key)) found.set(one.key, { ...one, batch: one.batch ?? only });
  }
  return [...found.values()];
}

/** What to clear so that everything that failed is done again, as Airflow's clear takes it; null: nothing failed. */
export function retryTargets(sync) {
  const plans = sync.plans.filter(hasFailed);
  if (plans.length) return plans.map(target);
  const copies = sync.copies.filter(hasFailed);
  if (copies.length) return copies.map(target);
  const rest = [...sync.others, sync.report].filter(hasFailed);
  return rest.length ? rest.map(target) : null;
}

const target = (task) => (task.map_index >= 0 ? [task.task_id, task.map_index] : task.task_id);
