/** Reads one run in few requests: its tasks, and the XComs, progress, logs and approvals that the tab shows. */
import { bytes, counted } from "./format.js";
import { get, getPage, hostTime, ifAllowed, isAirflow33, path, xcom, xcomKeys } from "./api.js";
import { OPERATORS } from "./host.js";
import { hasEnded, hasFailed, sumPlans } from "./run.js";

const PROGRESSING = new Set(["running", "up_for_retry", "up_for_reschedule"]);
const FINAL = new Set(["success", "failed"]);
const PAUSED = new Set(["deferred", "awaiting_input", "running"]);
const PROGRESS_AT_ONCE = 6; // tasks whose progress one reading requests; the next reading takes others
export const FAILURES_AT_ONCE = 5; // failed tasks whose summary or log one reading requests
const MOST_TASKS = 5_000;
const MOST_LISTED = 300; // mapped tasks whose XComs are listed at once
const WHOLE_EVERY = 10; // readings, of which the others request only what changed
const OVERLAP = 15_000; // milliseconds by which the readings of what changed overlap

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
    this.lists = new Map(); // lists of XComs by the executions that they cover
    this.polled = new Map(); // tasks by the reading that requested their progress last
    this.reads = 0;
    this.newest = 0;
  }

  /** Read, and return {run, syncs, objects, audits, preflights, mark}; `show` the syncs of a large run before all of its tasks are read: {…, isPartial}. */
  async read(signal, show) {
    const run = await (this.reads ? this.#readAgain(signal) : this.#readFirst(signal, show));
    const tasks = [...this.tasks.values()];
    await this.#readProgress(tasks, signal);
    const found = await this.#readResults(run, signal);
    this.reads += 1;
    return { ...found, mark: this.#mark(run, tasks) };
  }

  /** The run and its tasks at the same time. The plan and the report are among the first tasks. */
  async #readFirst(signal, show) {
    const [run, first] = await Promise.all([this.#readRun(signal), this.#readPage({}, signal)]);
    this.#keep(first.items);
    if (first.total > first.items.length) {
      const shown = this.#readResults(run, signal).then((found) => show?.({ ...found, isPartial: true }));
      // Requested after what is shown, so that its responses do not wait for these.
      const [rest] = await Promise.all([first.rest(), shown]);
      this.#keep(rest);
    }
    // The tasks may have been read just before the run ended, and then nothing would read them again.
    const isStale = FINAL.has(run.state) && [...this.tasks.values()].some((task) => !hasEnded(task));
    if (isStale) await this.#readTasks(true, signal);
    return run;
  }

  async #readAgain(signal) {
    // The run first: once it has ended its tasks do not change, so what is read after it is final.
    const run = await this.#readRun(signal);
    await this.#readTasks(FINAL.has(run.state) || this.reads % WHOLE_EVERY === 0, signal);
    return run;
  }

  #readRun = (signal) => get(path`dags/${this.dagId}/dagRuns/${this.runId}`, {}, signal);

  /** The tasks: all of them, or those that changed since the last reading. */
  async #readTasks(whole, signal) {
    const since = new Date(this.newest - OVERLAP).toISOString();
    const { items, rest } = await this.#readPage(whole ? {} : { updated_at_gte: since }, signal);
    const others = await rest();
    if (whole) this.tasks.clear(); // a mapped task that was not expanded yet is gone
    this.#keep([...items, ...others]);
  }

  async #readPage(query, signal) {
    const where = path`dags/${this.dagId}/dagRuns/${this.runId}/taskInstances`;
    const requested = Date.now();
    const page = await getPage(where, "task_instances", { operator: Object.keys(OPERATORS), order_by: "map_index", ...query }, signal, MOST_TASKS);
    this.newest = hostTime - (Date.now() - requested);
    return page;
  }

  #keep(tasks) {
    for (const task of tasks) {
      if (task.map_index >= 0) this.tasks.delete(`${task.task_id}\n-1`);
      this.tasks.set(identity(task), task);
    }
  }

  async #readResults(run, signal) {
    const tasks = [...this.tasks.values()];
    const objects = tasks.filter((task) => OPERATORS[task.operator] === "object");
    const audits = tasks.filter((task) => OPERATORS[task.operator] === "audit");
    const preflights = tasks.filter((task) => OPERATORS[task.operator] === "preflight");
    const byGroup = Map.groupBy(
      tasks.filter((task) => !["object", "audit", "preflight"].includes(OPERATORS[task.operator])),
      (task) => groupOf(task.task_id),
    );
    const [syncs] = await Promise.all([
      Promise.all([...byGroup].map(([id, members]) => this.#readSync(id, members, signal))),
      this.#readObjects(objects, signal),
      this.#readSummaries(audits, signal),
      this.#readSummaries(preflights, signal),
    ]);
    return {
      run,
      syncs: syncs.filter((sync) => sync.plans.length || sync.copies.length),
      objects: objects.map((task) => this.#row(task)),
      audits: audits.map((task) => this.#row(task)),
      preflights: preflights.map((task) => this.#row(task)),
    };
  }

  /** The XCom of a task that has ended, requested once; null if it has none. */
  async summary(task, signal) {
    const key = `${execution(task)}\nreturn_value`;
    if (!this.values.has(key)) {
      const exists = task.state === "success" || (await this.#exists(task, signal));
      this.values.set(key, exists ? await xcom(this.dagId, this.runId, task.task_id, "return_value", task.map_index, signal) : null);
    }
    return this.values.get(key);
  }

  /** Why a task failed, from its log, requested once; null if the log has no error, or this user may not read it. */
  async error(task, signal) {
    const key = `${execution(task)}\nerror`;
    if (!this.values.has(key)) {
      const where = path`dags/${this.dagId}/dagRuns/${this.runId}/taskInstances/${task.task_id}/logs/${task.try_number}`;
      const log = task.try_number > 0 ? await ifAllowed(() => get(where, { map_index: task.map_index, full_content: true }, signal), null) : null;
      this.values.set(key, errorIn(log?.content));
    }
    return this.values.get(key);
  }

  /** Whether a task that did not succeed has a summary. One list covers all of a few mapped tasks. */
  async #exists(task, signal) {
    if (!hasEnded(task) && task.state !== "up_for_retry") return false;
    const all = [...this.tasks.values()].filter((one) => one.task_id === task.task_id);
    const listed = all.length <= MOST_LISTED ? all : [task];
    if (!this.lists.has(execution(task))) {
      const query = { xcom_key: "return_value", map_index: listed.length === 1 ? task.map_index : undefined };
      const keys = xcomKeys(this.dagId, this.runId, task.task_id, query, signal);
      for (const one of listed) this.lists.set(execution(one), keys);
    }
    try {
      return (await this.lists.get(execution(task))).some((entry) => entry.map_index === task.map_index);
    } catch (error) {
      for (const one of listed) this.lists.delete(execution(one));
      throw error;
    }
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
    // The task that put several plans together has them all in one XCom.
    const planner = batches[0] ?? plans[0];
    const mapped = copies.filter((task) => task.map_index >= 0);
    const failed = mapped.filter((task) => hasFailed(task) || task.state === "up_for_retry");
    const others = [...of("approve"), ...of("delete")];
    const errors = (tasks) => tasks.filter((task) => task.state === "failed").map((task) => this.error(task, signal));
    const [made, references, reported, approval] = await Promise.all([
      this.#value(planner, "plan", signal),
      mapped.length ? this.#value(planner, "return_value", signal) : null,
      report && hasEnded(report) ? this.summary(report, signal) : null,
      this.#readApproval(of("approve").find((task) => PAUSED.has(task.state)), signal),
      ...failed.slice(0, FAILURES_AT_ONCE).map((task) => this.summary(task, signal)),
      ...errors(plans.filter((task) => task.state === "failed").slice(0, FAILURES_AT_ONCE)),
      ...errors([...batches, ...others]),
    ]);
    if (!reported) await Promise.all(errors(reports));
    const incomplete = new Set(reported?.incomplete_batches ?? []);
    return {
      id,
      plans,
      batchesTask: batches[0],
      copies,
      report,
      others,
      plan: sumPlans(made?.plans ?? [made]),
      reported,
      approval,
      errors: new Map([...plans, ...batches, ...others, ...reports].map((task) => [task, this.values.get(`${execution(task)}\nerror`)])),
      batches: mapped.map((task) => ({
        ...this.#row(task, Array.isArray(references) ? references[task.map_index] : null),
        isIncomplete: incomplete.has(task.map_index),
      })),
    };
  }

  async #readApproval(task, signal) {
    if (!PAUSED.has(task?.state)) return null;
    const where = path`dags/${this.dagId}/dagRuns/${this.runId}/hitlDetails`;
    const query = { task_id: task.task_id, response_received: false };
    const found = await ifAllowed(() => get(where, query, signal), { hitl_details: [] });
    const detail = found.hitl_details.find((one) => one.task_instance.task_id === task.task_id);
    return detail ? { task, subject: detail.subject, body: detail.body ?? "" } : null;
  }

  #row(task, reference) {
    const value = (key) => this.values.get(`${execution(task)}\n${key}`);
    return {
      task,
      index: task.map_index,
      label: reference ? labelOfBatch(reference) : labelOf(task),
      objects: reference ? objectsOf(reference) : null,
      size: reference?.size ?? null,
      summary: value("return_value") ?? null,
      isRead: value("return_value") !== undefined,
      error: value("error") ?? null,
      isErrorRead: value("error") !== undefined,
      progress: hasEnded(task) ? null : (this.values.get(`${identity(task)}\nprogress`) ?? null),
    };
  }

  async #readProgress(tasks, signal) {
    const live = tasks.filter((task) => ["copy", "object"].includes(OPERATORS[task.operator]) && PROGRESSING.has(task.state));
    if (!live.length || !(await isAirflow33(signal))) return;
    const last = (task) => this.polled.get(identity(task)) ?? -1;
    await Promise.all(
      live
        .toSorted((a, b) => last(a) - last(b) || (a.state === "running" ? 0 : 1) - (b.state === "running" ? 0 : 1))
        .slice(0, PROGRESS_AT_ONCE)
        .map(async (task) => {
          this.polled.set(identity(task), this.reads);
          const where = path`dags/${this.dagId}/dagRuns/${this.runId}/taskInstances/${task.task_id}/state-store`;
          const found = await get(where, { map_index: task.map_index }, signal);
          const entry = found.task_state_store.find(({ key }) => key === "progress");
          if (entry) this.values.set(`${identity(task)}\nprogress`, entry.value);
        }),
    );
  }

  async #readObjects(tasks, signal) {
    // Of many copies the results are requested where their rows are visible.
    await Promise.all([
      ...tasks.filter((task) => task.state === "success").slice(0, 2 * FAILURES_AT_ONCE).map((task) => this.summary(task, signal)),
      ...tasks.filter((task) => task.state === "failed").slice(0, FAILURES_AT_ONCE).map((task) => this.error(task, signal)),
    ]);
  }

  async #readSummaries(tasks, signal) {
    await Promise.all(
      tasks.filter(hasEnded).slice(0, 2 * FAILURES_AT_ONCE).map(async (task) => {
        if (!(await this.summary(task, signal)) && task.state === "failed") await this.error(task, signal);
      }),
    );
  }

  /** Changes with each task's state and with the progress. */
  #mark(run, tasks) {
    const progress = tasks.map((task) => this.values.get(`${identity(task)}\nprogress`)?.bytes ?? 0);
    return [run.state, ...tasks.map((task) => `${task.state}${task.try_number}`), ...progress].join();
  }
}

/** A mapped copy of a key is labeled by the key, also while Airflow has no label for it. */
// Earlier versions put the label and the number of objects into XCom.
// "lines" has an ETag and a start, then the stop, the number of lines and the digest of each range.
const rowsOf = ({ lines, ranges }) => ranges?.map(([, rows]) => rows) ?? lines.filter((_, at) => at > 2 && at % 3 === 0);
const objectsOf = (reference) => reference.objects ?? rowsOf(reference).reduce((sum, rows) => sum + rows, 0);

/** As in the log: "exports/2026/11/ (812 objects, 3.1 GiB)" */
function labelOfBatch(reference) {
  if (reference.label) return reference.label;
  const { what, prefix, below, size } = reference;
  const objects = objectsOf(reference);
  return `${what ?? prefix + below} (${objects === 1 ? "" : `${counted(objects, "object")}, `}${bytes(size)})`;
}

const labelOf = (task) => task.rendered_map_index || task.rendered_fields?.s3_key || task.task_id;

/** The error that ended a task, from the lines of its log; null if no line has one. */
export function errorIn(lines) {
  if (!Array.isArray(lines)) return null;
  const raised = lines.findLast((line) => line.error_detail?.length);
  if (raised) {
    const { exc_type: type, exc_value: value } = raised.error_detail[0];
    return type && !/^Airflow\w*Exception$/.test(type) ? `${type}: ${value}` : String(value);
  }
  const last = lines.findLast((line) => ["error", "critical"].includes(line.level));
  return last ? String(last.event) : null;
}

