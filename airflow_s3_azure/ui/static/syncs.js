/** The syncs of all DAGs: every one of them by its newest run, in few requests, and more of those that are shown. */
import { getList, isAirflow33, PAGE } from "./api.js";
import { calendar, DAYS } from "./calendar.js";
import { byData, dagOf, dryRuns, entry, isDry, readEvents, readReports, reportState, reportTasks } from "./history.js";
import { groupOf } from "./run_reader.js";

const MOST_DAGS = 1_000;
const MOST_REPORTS = 1_000; // of Airflow 3.2, whose patterns take one DAG only
const PATTERN = 3_000; // characters of DAG ids in a URL: proxies take 8,000 of the whole
const MOST_EVENTS = 4 * PAGE;
const ORDER = ["failed", "running", "dry", "success", "skipped"];
const DAY = 86_400_000;

const keyOf = (task) => `${task.dag_id}\n${task.task_id}`;

/** Reads all syncs again and again; keeps what it has read of each. */
export class SyncsReader {
  constructor() {
    this.newest = new Map(); // the newest report task of each sync
    this.dags = new Map(); // by id, as the list of DAGs has them
    this.cards = new Map(); // what was read of the syncs that are shown, by the mark of their newest report
    this.dry = new Set();
    this.unchecked = 0;
    this.recent = null;
    this.isWhole = false;
  }

  /**
   * Read, and return {syncs, cards, recent, unchecked, mark}: all syncs, failures first, with cards of the first `most`. Shown
   * before the cards are read: {…, isPartial}.
   */
  async read(most, signal, show) {
    const before = this.#mark();
    const isFirst = !this.isWhole;
    await (isFirst ? this.#find(signal) : this.#update(signal));
    const changed = this.#mark() !== before;
    if (changed && !isFirst) this.dry = await dryRuns("~", signal);
    if (changed) await this.#replaceDry(signal);
    const syncs = this.#sorted();
    show?.({ syncs, cards: [], recent: null, unchecked: this.unchecked, isPartial: true });
    const missing = syncs.slice(0, most).filter((sync) => this.cards.get(sync.key)?.mark !== sync.mark);
    await Promise.all([this.#readCards(missing, signal), changed && this.#readRecent(signal)]);
    const read = this.#sorted();
    return { syncs: read, cards: this.#shown(read, most), recent: this.recent, unchecked: this.unchecked, mark: this.#mark() };
  }

  #mark = () => [...this.newest.values()].map((task) => `${task.id}${task.state}${task.try_number}`).join();

  #shown = (syncs, most) => syncs.slice(0, most).map((sync) => this.cards.get(sync.key)).filter(Boolean);

  /** The newest reports of all DAGs, and then those of the DAGs that others hid. */
  async #find(signal) {
    const [first, dags, dry] = await Promise.all([
      reportTasks("~", {}, signal, PAGE),
      getList("dags", "dags", { order_by: "dag_id", exclude_stale: true }, signal, MOST_DAGS),
      dryRuns("~", signal),
      isAirflow33(signal),
    ]);
    this.dry = dry;
    this.dags = new Map(dags.items.map((dag) => [dag.dag_id, dag]));
    this.#add(first.items);
    this.unchecked = dags.total - dags.items.length;
    if (first.total > first.items.length) await this.#findHidden(signal);
    for (const [key, task] of this.newest) if (!this.dags.has(task.dag_id) && !this.unchecked) this.newest.delete(key);
    this.isWhole = true;
  }

  async #findHidden(signal) {
    if (!(await isAirflow33(signal))) {
      const { items, total } = await reportTasks("~", {}, signal, MOST_REPORTS);
      this.#add(items);
      if (total > items.length) this.unchecked += this.#unseen().length;
      return;
    }
    let hidden = this.#unseen();
    while (hidden.length) {
      const chunks = chunked(hidden, PATTERN);
      const pages = await Promise.all(chunks.map((ids) => reportTasks("~", { dag_id_prefix_pattern: ids.join("|") }, signal, PAGE)));
      for (const { items } of pages) this.#add(items);
      const seen = new Set([...this.newest.values()].map((task) => task.dag_id));
      // A page that held all there is leaves nothing hidden.
      const left = chunks.flatMap((ids, at) => (pages[at].total > pages[at].items.length ? ids.filter((id) => !seen.has(id)) : []));
      if (left.length === hidden.length) {
        this.unchecked += left.length;
        return;
      }
      hidden = left;
    }
  }

  #unseen() {
    const seen = new Set([...this.newest.values()].map((task) => task.dag_id));
    return [...this.dags.keys()].filter((id) => !seen.has(id));
  }

  async #update(signal) {
    const { items } = await reportTasks("~", {}, signal, PAGE);
    const fresh = new Map();
    for (const task of items) {
      if (task.state !== "removed" && !fresh.has(keyOf(task)) && !isDry(this.dry, task)) fresh.set(keyOf(task), task);
    }
    for (const [key, task] of fresh) if (!(this.newest.get(key)?.run_after > task.run_after)) this.newest.set(key, task);
  }

  #add(tasks) {
    for (const task of tasks) {
      const before = this.newest.get(keyOf(task));
      if (task.state !== "removed" && !(before?.run_after >= task.run_after)) this.newest.set(keyOf(task), task);
    }
  }

  /** A dry run counts for nothing: where the newest run is one, the newest of the others stands for the sync. */
  async #replaceDry(signal) {
    const dry = [...this.newest].filter(([, task]) => isDry(this.dry, task)).slice(0, 5);
    await Promise.all(
      dry.map(async ([key, task]) => {
        const { items } = await reportTasks(task.dag_id, { task_id: task.task_id }, signal, 20);
        const real = items.find((one) => one.state !== "removed" && !isDry(this.dry, one));
        if (real) this.newest.set(key, real);
      }),
    );
  }

  #sorted() {
    const ids = new Set();
    const several = new Set();
    for (const task of this.newest.values()) (ids.has(task.dag_id) ? several : ids).add(task.dag_id);
    return [...this.newest]
      .map(([key, task]) => ({
        key,
        dagId: task.dag_id,
        taskId: task.task_id,
        runId: task.dag_run_id,
        groupId: groupOf(task.task_id),
        isNamed: several.has(task.dag_id),
        isPaused: Boolean(this.dags.get(task.dag_id)?.is_paused),
        task,
        state: isDry(this.dry, task) ? "dry" : (reportState(task) ?? "skipped"),
        mark: `${task.id}${task.state}${task.try_number}`,
        numbers: this.recent?.events.get([task.dag_id, task.dag_run_id, task.task_id].join("\n")) ?? null,
      }))
      .sort((a, b) => ORDER.indexOf(a.state) - ORDER.indexOf(b.state) || a.dagId.localeCompare(b.dagId) || a.taskId.localeCompare(b.taskId));
  }

  async #readCards(syncs, signal) {
    if (!syncs.length) return;
    const runs = await manualRuns(syncs.map((sync) => sync.dagId), signal);
    const cards = await Promise.all(syncs.map((sync) => this.#readCard(sync, runs, signal)));
    await readReports(cards.map((card) => card.newest), signal, { most: cards.length, events: this.recent?.events });
    for (const card of cards) this.cards.set(card.key, card);
  }

  async #readCard(sync, runs, signal) {
    const since = new Date(Date.now() - (DAYS + 2) * DAY).toISOString();
    const [dag, { items, total }] = await Promise.all([
      dagOf(sync.dagId, signal, this.dags.get(sync.dagId)),
      reportTasks(sync.dagId, { task_id: sync.taskId, run_after_gte: since }, signal, PAGE),
    ]);
    const entries = items
      .map((task) => entry(task, runs.get(`${task.dag_id}\n${task.dag_run_id}`), dag.zone, this.dry))
      .filter((one) => one.state)
      .sort(byData);
    const newest = entries.find((one) => one.runId === sync.runId) ?? entry(sync.task, null, dag.zone, this.dry);
    const isPartial = total > items.length;
    return { ...sync, dag, newest, isPartial, days: calendar(entries, dag, { since: isPartial ? items.at(-1).run_after : null }) };
  }

  /** What good runs of the last 24 hours copied. */
  async #readRecent(signal) {
    const ids = [...new Set([...this.newest.values()].map((task) => task.task_id))];
    const since = new Date(Date.now() - DAY).toISOString();
    const { events, total } = await readEvents({ timestamp_gte: since, source_task_id: ids.length === 1 ? ids[0] : undefined }, signal, MOST_EVENTS);
    this.recent = { events, isWhole: total <= MOST_EVENTS };
  }
}

/** The runs whose data interval is not where their logical date is, by DAG and run: only manual ones. */
export async function manualRuns(dagIds, signal) {
  const ids = [...new Set(dagIds)];
  const pattern = (await isAirflow33(signal)) ? { dag_id_prefix_pattern: chunked(ids, PATTERN)[0].join("|") } : {};
  const { items } = await getList("dags/~/dagRuns", "dag_runs", { run_type: "manual", order_by: "-run_after", ...pattern }, signal, PAGE);
  return new Map(items.map((run) => [`${run.dag_id}\n${run.dag_run_id}`, run]));
}

/** Parts of a list of texts, none of which is longer than `most` characters in all. */
export function chunked(texts, most) {
  const chunks = [];
  let length = Infinity;
  for (const text of texts) {
    length += text.length + 1;
    if (length > most) {
      chunks.push([]);
      length = text.length;
    }
    chunks.at(-1).push(text);
  }
  return chunks;
}
