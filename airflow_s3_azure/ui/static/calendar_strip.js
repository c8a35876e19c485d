/** The last 90 days as a strip: which have their data, which failed, which are missing; and a form to backfill them. */
import { ApiError, post } from "./api.js";
import { counted, longDay, shortDay } from "./format.js";
import { ChakraUI, h, React, ReactRouterDOM } from "./host.js";
import { cellStyle, Confirm, explained, Inside, StateLegend, STATES, transferPath } from "./parts.js";
import { useRoving } from "./roving.js";

const { Box, Button, Field, Flex, Input, Text } = ChakraUI;
const SHOWN = 6; // days to act on that are listed at once
const FEW = 30; // days in a row of a narrow page, and columns where there are fewer days
const SIGNED = new Set(["failed", "running", "missing", "dry", "skipped"]); // success is the rule, and needs no sign
export const LEGEND = ["success", "failed", "running", "missing", "dry", "skipped", "none"];

/** `days` as calendar() returns them. */
export function CalendarStrip({ days, dag, onBackfill, small }) {
  const lively = days.filter((one) => one.entries.length || one.state === "missing");
  const item = useRoving(lively.length, lively.length - 1);
  const [chosen, setChosen] = React.useState(null);
  const labels = small ? [] : labelsOf(days);

  return h(
    Box,
    { "data-testid": "calendar" },
    h(
      Box,
      {
        as: "ol",
        "aria-label": `Days of data, ${longDay(days[0].day)} to ${longDay(days.at(-1).day)}: ${summary(days)}`,
        display: "grid",
        gridTemplateColumns: { base: `repeat(${FEW}, minmax(0, 1fr))`, lg: `repeat(${Math.max(FEW, days.length)}, minmax(0, 1fr))` },
        columnGap: "2px",
        rowGap: small ? "2px" : LABEL,
        m: 0,
        p: 0,
        pb: small ? 0 : LABEL,
        listStyleType: "none",
      },
      days.map((one, place) => {
        const at = lively.indexOf(one);
        const last = one.entries.at(-1);
        const name = nameOf(one, last);
        const style = { ...CELL, height: small ? 20 : 30, cursor: at < 0 ? "default" : "pointer", ...cellStyle(one.state) };
        const sign = SIGNED.has(one.state) ? STATES[one.state].sign : null;
        let cell;
        if (at < 0) cell = h("span", { style, title: name });
        else if (last) {
          cell = h(ReactRouterDOM.Link, { ...item(at), to: transferPath(last.dagId, last.runId), style, title: name, "aria-label": `${name}; go to the run` }, sign);
        } else {
          cell = h("button", { ...item(at), type: "button", style, title: name, "aria-label": `${name}; backfill it`, onClick: () => setChosen(one.day) }, sign);
        }
        return h("li", { key: one.day, "data-day": one.day, "data-state": one.state, style: { minWidth: 0, position: "relative" } }, cell, labels[place] && h(Label, { day: one.day, ...labels[place] }));
      }),
    ),
    !small && h(Box, { mt: 1 }, h(StateLegend, { states: LEGEND.filter((state) => days.some((one) => one.state === state)) })),
    !small && h(Todo, { days, onBackfill: setChosen, canBackfill: Boolean(dag.schedule) }),
    chosen && h(BackfillForm, { key: chosen, dag, day: chosen, onDone: onBackfill, onClose: () => setChosen(null) }),
  );
}

/**
 * The labels below the days: of each month, and of where a row begins. For the rows of a narrow page (base) and for the one
 * row of a wide page (lg): the side of its cell from which a label extends, or null where it would touch the next one.
 */
export function labelsOf(days) {
  const isMonth = ({ day }) => day.endsWith("-01");
  const isNear = (at, cells) => days.slice(at + 1, at + 1 + cells).some(isMonth);
  return days.map((one, at) => {
    const base = isMonth(one) || (at % FEW === 0 && !isNear(at, 3));
    const lg = at === 0 || (isMonth(one) && at > 6);
    return base || lg
      ? { base: base ? (at % FEW > FEW - 3 ? "right" : "left") : null, lg: lg ? (at > days.length - 4 ? "right" : "left") : null }
      : null;
  });
}

const Label = ({ day, base, lg }) =>
  h(
    Text,
    {
      as: "span",
      "aria-hidden": true,
      "data-testid": "calendar-label",
      position: "absolute",
      top: "100%",
      display: { base: base ? "block" : "none", lg: lg ? "block" : "none" },
      left: { base: base === "left" ? 0 : "auto", lg: lg === "left" ? 0 : "auto" },
      right: { base: base === "right" ? 0 : "auto", lg: lg === "right" ? 0 : "auto" },
      fontSize: "xs",
      color: "fg.muted",
      whiteSpace: "nowrap",
    },
    shortDay(day),
  );

const LABEL = "18px"; // below each row of days
const CELL = { display: "grid", placeItems: "center", width: "100%", borderRadius: 3, padding: 0, overflow: "hidden", fontSize: 11, lineHeight: 1, fontWeight: 700 };

const nameOf = (one, last) =>
  [
    `${longDay(one.day)}: ${STATES[one.state].word}`,
    one.entries.length > 1 && counted(one.entries.length, "run"),
    last?.isBackfill && "backfill",
    one.isDry && one.state === "missing" && "only a dry run",
  ]
    .filter(Boolean)
    .join(", ");

/** "88 succeeded, 1 failed, 1 missing" */
export function summary(days) {
  const parts = ["success", "failed", "missing", "running", "skipped", "dry"]
    .map((state) => [state, days.filter((one) => one.state === state).length])
    .filter(([, many]) => many)
    .map(([state, many]) => (state === "dry" ? counted(many, "dry run") : `${many} ${STATES[state].word}`));
  return parts.join(", ") || "no run";
}

function Todo({ days, onBackfill, canBackfill }) {
  const [all, setAll] = React.useState(false);
  const wanted = days.filter((one) => one.state === "missing" || one.state === "failed").toReversed();
  return h(
    Box,
    { mt: 2 },
    h(Text, { fontSize: "sm", color: "fg.muted", "data-testid": "calendar-summary" }, `${counted(days.length, "day")}: ${summary(days)}`),
    wanted.length > 0 &&
      h(
        Flex,
        { as: "ul", "aria-label": "Days to check", direction: "column", gap: 1, mt: 2, listStyleType: "none", p: 0 },
        (all ? wanted : wanted.slice(0, SHOWN)).map((one) =>
          h(
            Flex,
            { as: "li", key: one.day, align: "center", gap: 3, fontSize: "sm", minH: "28px", "data-todo": one.day },
            h("span", { "aria-hidden": true, style: { ...CELL, width: 16, height: 16, flex: "none", ...cellStyle(one.state) } }, STATES[one.state].sign),
            h(Text, { minW: "92px", fontVariantNumeric: "tabular-nums" }, longDay(one.day)),
            h(Text, { minW: "60px", color: one.state === "missing" ? "warning.fg" : "failed.fg" }, STATES[one.state].word),
            h(Box, { minW: "112px" }, one.entries.length > 0 && h(Inside, { to: transferPath(one.entries.at(-1).dagId, one.entries.at(-1).runId) }, one.isDry ? "Go to the dry run" : "Go to the run")),
            canBackfill && h(Button, { size: "xs", variant: "outline", onClick: () => onBackfill(one.day), "aria-label": `Backfill ${longDay(one.day)}` }, "Backfill…"),
          ),
        ),
        wanted.length > SHOWN && h(Button, { alignSelf: "start", size: "xs", variant: "ghost", onClick: () => setAll(!all) }, all ? "Show fewer" : `Show all ${wanted.length}`),
      ),
  );
}

/** A link to Airflow's own backfill form cannot carry dates, so this is a form over the same API. */
function BackfillForm({ dag, day, onDone, onClose }) {
  const [from, setFrom] = React.useState(day);
  const [to, setTo] = React.useState(day);
  const [error, setError] = React.useState(null);
  const wrong = !from || !to || from > to;

  async function start() {
    setError(null);
    try {
      await post("backfills", {
        dag_id: dag.dagId,
        from_date: new Date(startOf(from, dag.zone)).toISOString(),
        to_date: new Date(startOf(nextDay(to), dag.zone) - 1000).toISOString(),
        reprocess_behavior: "failed",
        max_active_runs: 2,
        run_backwards: false,
      });
    } catch (caught) {
      if (!(caught instanceof ApiError)) throw caught;
      setError(caught);
      throw caught;
    }
    onDone(`Airflow creates the runs of ${from === to ? longDay(from) : `${longDay(from)} to ${longDay(to)}`}.${dag.isPaused ? " The DAG is paused: they start when it is switched on." : ""}`);
  }

  const field = (label, value, set) =>
    h(
      Field.Root,
      null,
      h(Field.Label, null, label),
      h(Input, { type: "date", value, onChange: (event) => set(event.target.value), size: "sm" }),
    );
  return h(
    Confirm,
    { open: true, onClose, title: `Backfill ${dag.dagId}`, action: "Run backfill", onConfirm: start, disabled: wrong },
    h(Text, { mb: 3 }, "Airflow runs the DAG for each day that has no run or whose run failed. Keys that Azure already has are not copied again."),
    h(Flex, { gap: 4 }, field("From", from, setFrom), field("To", to, setTo)),
    wrong && h(Text, { color: "failed.fg", mt: 2, role: "alert" }, "The first day must not be after the last."),
    error &&
      h(
        Text,
        { color: "failed.fg", mt: 3, role: "alert", "data-testid": "backfill-error" },
        error.status === 403 ? "You don't have permission to run this DAG: ask someone who may edit it." : explained(error, "the backfill").join(" "),
      ),
  );
}

const nextDay = (day) => new Date(Date.parse(`${day}T00:00:00Z`) + 86_400_000).toISOString().slice(0, 10);

/** The moment a day begins in a zone, in milliseconds. */
export function startOf(day, zone) {
  const wanted = Date.parse(`${day}T00:00:00Z`);
  let found = wanted;
  for (let round = 0; round < 3; round += 1) {
    const parts = Object.fromEntries(
      new Intl.DateTimeFormat("en-GB", { timeZone: zone, hourCycle: "h23", year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit" })
        .formatToParts(new Date(found))
        .map(({ type, value }) => [type, value]),
    );
    const there = Date.parse(`${parts.year}-${parts.month}-${parts.day}T${parts.hour}:${parts.minute}:${parts.second}Z`);
    if (there === wanted) break;
    found -= there - wanted;
  }
  return found;
}
