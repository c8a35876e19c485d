/** Which days have their data. Pure. */
import { dayOf } from "./format.js";
import { byData } from "./history.js";

export const DAYS = 90;
const DAY = 86_400_000;

/**
 * The last 90 days, each {day, state, entries}; the state is that of the day's newest run that was not dry, "dry" if all
 * were, "missing" where a daily DAG that should have run has none, or "none". Ends with yesterday, or with today if today
 * has a run. `since`: data before it was not read, so its days are left out.
 */
export function calendar(entries, dag, { now = Date.now(), days = DAYS, since = null } = {}) {
  const byDay = Map.groupBy(entries.filter((one) => one.state), (one) => one.day);
  const today = dayOf(now, dag.zone);
  const last = byDay.has(today) ? today : shiftDay(today, -1);
  const first = firstDay(entries);
  const lag = lagOf(entries);
  const start = since ? dayOf(since, dag.zone) : null;
  const found = [];
  for (let back = days - 1; back >= 0; back -= 1) {
    const day = shiftDay(last, -back);
    if (start && day < start) continue;
    const here = (byDay.get(day) ?? []).toSorted((a, b) => new Date(a.startedAt ?? 0) - new Date(b.startedAt ?? 0));
    const real = here.filter((one) => one.state !== "dry");
    const isMissing = !real.length && dag.isDaily && first && day >= first && midnight(day) + lag < now;
    const state = real.at(-1)?.state ?? (isMissing ? "missing" : here.length ? "dry" : "none");
    found.push({ day, state, entries: real.length ? real : here, isDry: !real.length && here.length > 0 });
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
