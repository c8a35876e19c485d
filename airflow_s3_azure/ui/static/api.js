/** A client of Airflow's public API that uses the session of the user who has the page open. */

export const PAGE = 100; // Airflow's own maximum, unless its administrator raised it
const CONCURRENCY = 5; // of the six connections a browser opens to a host, one is left to Airflow's own pages

export class ApiError extends Error {
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

/** Requests sent since the page was loaded: polling derives its pauses from them. */
export let sent = 0;

let free = CONCURRENCY;
const queue = [];

async function limited(work) {
  if (free > 0) free -= 1;
  else await new Promise((resolve) => queue.push(resolve));
  try {
    return await work();
  } finally {
    const next = queue.shift();
    if (next) next();
    else free += 1;
  }
}

/** path`dags/${dag}/dagRuns` with each value encoded. */
export const path = (texts, ...values) =>
  texts.reduce((made, text, at) => made + encodeURIComponent(values[at - 1]) + text);

/** The URL of a path of the API, wherever Airflow is mounted. */
export const url = (where) => new URL(`api/v2/${where}`, document.baseURI);

/** The time of Airflow's host at its last response: the browser's own clock may be wrong. */
export let hostTime = 0;

async function request(method, where, { query, body, signal } = {}) {
  const address = url(where);
  for (const [name, value] of Object.entries(query ?? {})) {
    for (const one of [value].flat()) if (one !== undefined && one !== null) address.searchParams.append(name, one);
  }
  return limited(async () => {
    signal?.throwIfAborted();
    sent += 1;
    let response;
    try {
      response = await fetch(address, {
        method,
        signal,
        credentials: "same-origin",
        headers: { Accept: "application/json", ...(body ? { "Content-Type": "application/json" } : {}) },
        body: body ? JSON.stringify(body) : undefined,
      });
    } catch (error) {
      if (signal?.aborted) throw error;
      throw new ApiError(0, "Airflow does not respond");
    }
    hostTime = Date.parse(response.headers.get("date")) || Date.now();
    const text = await response.text();
    let found;
    try {
      found = JSON.parse(text);
    } catch {
      found = {};
    }
    if (!response.ok) throw new ApiError(response.status, detail(found) || `Airflow returned ${response.status}`);
    return found;
  });
}

function detail({ detail: found }) {
  if (typeof found === "string") return found;
  if (Array.isArray(found)) return found.map((one) => one.msg).join("; ");
  return found?.reason ?? "";
}

export const get = (where, query, signal) => request("GET", where, { query, signal });
export const post = (where, body) => request("POST", where, { body });

/** The first page of a list, of which `most` items are wanted: {items, total, rest}; `key` is the list's name, rest() requests the others. */
export async function getPage(where, key, query, signal, most = PAGE) {
  const first = await get(where, { ...query, limit: Math.min(PAGE, most), offset: 0 }, signal);
  const size = first[key].length;
  const total = first.total_entries ?? size;
  const offsets = [];
  for (let offset = size; size > 0 && offset < Math.min(total, most); offset += size) offsets.push(offset);
  const rest = async () => {
    const pages = await Promise.all(offsets.map((offset) => get(where, { ...query, limit: size, offset }, signal)));
    return pages.flatMap((page) => page[key]).slice(0, most - size);
  };
  return { items: first[key], total, rest };
}

/** The first `most` items of a list, page by page, and how many there are: {items, total}. */
export async function getList(where, key, query, signal, most) {
  const { items, total, rest } = await getPage(where, key, query, signal, most);
  return { items: [...items, ...(await rest())], total };
}

/** All items of a list, at most `most` of them. */
export const getAll = async (where, key, query, signal, most = 5000) => (await getList(where, key, query, signal, most)).items;

/** What `read` returns, or `otherwise` where this user may not read it or it does not exist. */
export async function ifAllowed(read, otherwise) {
  try {
    return await read();
  } catch (error) {
    if (error.status === 403 || error.status === 404) return otherwise;
    throw error;
  }
}

/** An XCom's value, or null where it does not exist. */
export async function xcom(dagId, runId, taskId, key, mapIndex, signal) {
  try {
    const found = await get(
      path`dags/${dagId}/dagRuns/${runId}/taskInstances/${taskId}/xcomEntries/${key}`,
      { map_index: mapIndex },
      signal,
    );
    // Airflow 3.2 returns some values as the text they are stored as.
    return typeof found.value === "string" ? JSON.parse(found.value) : found.value;
  } catch (error) {
    if (error.status === 404 || error instanceof SyntaxError) return null;
    throw error;
  }
}

/** Which XComs a task has, without their values, the newest first: requesting one that does not exist is an error. */
export const xcomKeys = (dagId, runId, taskId, query, signal, most = 1000) =>
  getAll(
    path`dags/${dagId}/dagRuns/${runId}/taskInstances/${taskId}/xcomEntries`,
    "xcom_entries",
    { order_by: "-timestamp", ...query },
    signal,
    most,
  );

let version;
/** Whether this Airflow is 3.3 or later: it stores the progress of tasks, and its patterns take "|" for "or". */
export async function isAirflow33(signal) {
  version ??= (await get("version", {}, signal)).version;
  const [major, minor] = version.split(".").map(Number);
  return major > 3 || (major === 3 && minor >= 3);
}
