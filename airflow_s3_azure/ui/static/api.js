/** Airflow's public API, asked with the session of whoever looks at the page. */

const PAGE = 100; // Airflow's own maximum, unless its administrator raised it
const AT_ONCE = 5; // of the six connections a browser opens to a host, one is left to Airflow's own pages

export class ApiError extends Error {
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

let free = AT_ONCE;
const waiting = [];

async function turn(work) {
  if (free > 0) free -= 1;
  else await new Promise((resolve) => waiting.push(resolve));
  try {
    return await work();
  } finally {
    const next = waiting.shift();
    if (next) next();
    else free += 1;
  }
}

/** path`dags/${dag}/dagRuns` with each value encoded. */
export const path = (texts, ...values) =>
  texts.reduce((made, text, at) => made + encodeURIComponent(values[at - 1]) + text);

/** Where a path of the API is, wherever Airflow is mounted. */
export const url = (where) => new URL(`api/v2/${where}`, document.baseURI);

/** The time of Airflow's host at its last answer: the browser's own clock may be wrong. */
export let hostTime = 0;

async function ask(method, where, { query, body, signal } = {}) {
  const address = url(where);
  for (const [name, value] of Object.entries(query ?? {})) {
    for (const one of [value].flat()) if (one !== undefined && one !== null) address.searchParams.append(name, one);
  }
  return turn(async () => {
    signal?.throwIfAborted();
    let answer;
    try {
      answer = await fetch(address, {
        method,
        signal,
        credentials: "same-origin",
        headers: { Accept: "application/json", ...(body ? { "Content-Type": "application/json" } : {}) },
        body: body ? JSON.stringify(body) : undefined,
      });
    } catch (error) {
      if (signal?.aborted) throw error;
      throw new ApiError(0, "Airflow does not answer");
    }
    hostTime = Date.parse(answer.headers.get("date")) || Date.now();
    const text = await answer.text();
    let found;
    try {
      found = JSON.parse(text);
    } catch {
      found = {};
    }
    if (!answer.ok) throw new ApiError(answer.status, detail(found) || `Airflow answered ${answer.status}`);
    return found;
  });
}

function detail({ detail: found }) {
  if (typeof found === "string") return found;
  if (Array.isArray(found)) return found.map((one) => one.msg).join("; ");
  return found?.reason ?? "";
}

export const get = (where, query, signal) => ask("GET", where, { query, signal });
export const post = (where, body) => ask("POST", where, { body });

/** All items of a list, page by page, at most `most` of them; `key` is the list's name in the answer. */
export async function getAll(where, key, query, signal, most = 5000) {
  const first = await get(where, { ...query, limit: PAGE, offset: 0 }, signal);
  const size = first[key].length;
  const total = Math.min(first.total_entries ?? size, most);
  const offsets = [];
  for (let offset = size; size > 0 && offset < total; offset += size) offsets.push(offset);
  const rest = await Promise.all(
    offsets.map((offset) => get(where, { ...query, limit: size, offset }, signal).then((page) => page[key])),
  );
  return [...first[key], ...rest.flat()];
}

/** An XCom's value, or null where it is gone. */
export async function xcom(dagId, runId, taskId, key, mapIndex, signal) {
  try {
    const found = await get(
      path`dags/${dagId}/dagRuns/${runId}/taskInstances/${taskId}/xcomEntries/${key}`,
      { map_index: mapIndex },
      signal,
    );
    // Airflow 3.2 tells some values as the text they are stored as.
    return typeof found.value === "string" ? JSON.parse(found.value) : found.value;
  } catch (error) {
    if (error.status === 404 || error instanceof SyntaxError) return null;
    throw error;
  }
}

/** Which XComs a task has, without their values: asking for one that is not there would be an error. */
export const xcomKeys = (dagId, runId, taskId, query, signal) =>
  getAll(path`dags/${dagId}/dagRuns/${runId}/taskInstances/${taskId}/xcomEntries`, "xcom_entries", query, signal, 1000);

let version;
/** Whether tasks of this Airflow can tell their progress (3.3). */
export async function tellsProgress(signal) {
  version ??= (await get("version", {}, signal)).version;
  const [major, minor] = version.split(".").map(Number);
  return major > 3 || (major === 3 && minor >= 3);
}
