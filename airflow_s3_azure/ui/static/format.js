/** Numbers, times and names as text for people. Pure. */

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
const COUNT = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const NONE = "–";

export const isNumber = (value) => typeof value === "number" && Number.isFinite(value);

/** 1234567 → "1,234,567" */
export const count = (value) => (isNumber(value) ? COUNT.format(value) : NONE);

export const plural = (noun) => `${noun}${/(s|x|ch)$/.test(noun) ? "es" : "s"}`;

/** counted(1, "key") → "1 key"; counted(2, "batch") → "2 batches" */
export const counted = (value, noun) => `${count(value)} ${value === 1 ? noun : plural(noun)}`;

// Control characters except the newline, and characters that reorder or hide the text around them.
const HIDDEN = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff]/gu;
const escaped = (character) => {
  const code = character.codePointAt(0);
  return code < 256 ? `\\x${code.toString(16).padStart(2, "0")}` : `\\u${code.toString(16).padStart(4, "0")}`;
};

/** A text in which no character is invisible, moves the others, or is taken for a command; lines stay lines. */
export const visible = (text) => text.replace(HIDDEN, escaped);

/** A name on one line. */
export const oneLine = (text) => visible(String(text)).replace(/\n/g, "\\n");

/** Bytes in the most readable unit, as in the log and the labels: "3.1 GiB". */
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

/** Bytes per second; 0 only if it is. */
export const rate = (value) => (isNumber(value) ? `${value > 0 && value < 0.5 ? "< 1 B" : bytes(value)}/s` : NONE);

/** A share as a percentage that is 0 or 100 only if the share is. */
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
      made = new Intl.DateTimeFormat("en-GB", { ...options, timeZone: "UTC" }); // a zone that this browser does not know
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

/** "21 Nov, 04:05", with the year where it is not this one's. */
export function moment(date, zone = "UTC", now = Date.now()) {
  const time = formatter(zone, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" }).format(new Date(date));
  const day = dayOf(date, zone).slice(0, 4) === dayOf(now, zone).slice(0, 4) ? shortDay(date, zone) : longDay(date, zone);
  return `${day}, ${time}`;
}

/** "04:05" */
export const clock = (date, zone = "UTC") =>
  formatter(zone, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" }).format(new Date(date));
