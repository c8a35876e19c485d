/** Numbers and times as people read them. Pure. */

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
const COUNT = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const NONE = "–";

export const isNumber = (value) => typeof value === "number" && Number.isFinite(value);

/** 1234567 → "1,234,567" */
export const count = (value) => (isNumber(value) ? COUNT.format(value) : NONE);

/** count(1, "key") → "1 key"; count(2, "key") → "2 keys"; an ending in s, x or ch takes "es" */
export const counted = (value, noun) =>
  `${count(value)} ${noun}${value === 1 ? "" : /(s|x|ch)$/.test(noun) ? "es" : "s"}`;

/** Bytes in the unit in which they are easiest to read, as the log and the labels say them: "3.1 GiB". */
export function bytes(value) {
  if (!isNumber(value)) return NONE;
  let size = value;
  for (const unit of UNITS) {
    if (Math.abs(size) < 1023.95 || unit === UNITS.at(-1)) {
      return `${unit === "B" || Math.abs(size) >= 99.95 ? size.toFixed(0) : size.toFixed(1)} ${unit}`;
    }
    size /= 1024;
  }
  return NONE;
}

export const rate = (value) => (isNumber(value) ? `${bytes(value)}/s` : NONE);

/** A share as a percentage that says 0 and 100 only where they are true. */
export function percent(part, whole) {
  if (!isNumber(part) || !isNumber(whole) || whole <= 0) return NONE;
  const share = (100 * part) / whole;
  if (share > 0 && share < 1) return "< 1 %";
  if (share < 100 && share > 99) return `${(Math.floor(share * 10) / 10).toFixed(1)} %`;
  return `${Math.floor(share)} %`;
}

/** Seconds: "< 0.1 s", "4.2 s", "48 s", "3 min 20 s", "2 h 5 min", "3 d 4 h". */
export function duration(value) {
  if (!isNumber(value)) return NONE;
  if (value < 0.05) return "< 0.1 s";
  if (value < 9.95) return `${value.toFixed(1)} s`;
  const seconds = Math.round(value);
  if (seconds < 60) return `${seconds} s`;
  const [days, hours, minutes] = [seconds / 86400, (seconds % 86400) / 3600, (seconds % 3600) / 60].map(Math.floor);
  if (days) return hours ? `${days} d ${hours} h` : `${days} d`;
  if (hours) return minutes ? `${hours} h ${minutes} min` : `${hours} h`;
  return seconds % 60 ? `${minutes} min ${seconds % 60} s` : `${minutes} min`;
}

const formats = new Map();
function formatter(zone, options) {
  const key = JSON.stringify([zone, options]);
  if (!formats.has(key)) {
    let made;
    try {
      made = new Intl.DateTimeFormat("en-GB", { ...options, timeZone: zone });
    } catch {
      made = new Intl.DateTimeFormat("en-GB", { ...options, timeZone: "UTC" }); // a zone that this browser has not heard of
    }
    formats.set(key, made);
  }
  return formats.get(key);
}

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/** "21 Nov" */
export function shortDay(date, zone = "UTC") {
  const [, month, day] = dayOf(date, zone).split("-").map(Number);
  return `${day} ${MONTHS[month - 1]}`;
}

/** "21 Nov 2026" */
export const longDay = (date, zone = "UTC") => `${shortDay(date, zone)} ${dayOf(date, zone).slice(0, 4)}`;

/** The calendar day of a moment in a time zone, as 2026-11-21. */
export function dayOf(date, zone = "UTC") {
  const parts = Object.fromEntries(
    formatter(zone, { day: "2-digit", month: "2-digit", year: "numeric" })
      .formatToParts(new Date(date))
      .map(({ type, value }) => [type, value]),
  );
  return `${parts.year}-${parts.month}-${parts.day}`;
}
