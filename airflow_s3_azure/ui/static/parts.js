/** The components that all pages share. */
import { ApiError } from "./api.js";
import { oneLine } from "./format.js";
import { ChakraUI, color, h, React, ReactRouterDOM } from "./host.js";
import { useWidth } from "./live.js";

const { Alert, Badge, Box, Button, Code, Dialog, EmptyState, Flex, Heading, Link, Portal, Skeleton, Text } = ChakraUI;

/** Each state's color, name and sign: color is never the only difference. White on Airflow's cyan and yellow has less than the
 * contrast of 4.5 that WCAG 2.2 AA asks for. */
export const STATES = {
  success: { token: "success", word: "succeeded", sign: "✓" },
  done: { token: "success", word: "done", sign: "✓" },
  failed: { token: "failed", word: "failed", sign: "✕" },
  running: { token: "running", word: "running", sign: "▸", ink: "#000" },
  retry: { token: "up_for_retry", word: "up for retry", sign: "↻", ink: "#000" },
  waiting: { token: "queued", word: "waiting", sign: "…" },
  skipped: { token: "skipped", word: "skipped", sign: "–" },
  dry: { token: "deferred", word: "dry run", sign: "○" },
  approval: { token: "warning", word: "needs approval", sign: "!" },
  missing: { token: "warning", word: "missing", sign: "?" },
  none: { token: "none", word: "no run", sign: "" },
};

export const stateColor = (state) => color(`${STATES[state]?.token ?? "none"}.solid`);

/** The style of a cell that stands for a state: hollow where no data was copied. */
export const cellStyle = (state) => {
  if (state === "none") return { background: color("border") };
  if (state === "missing") return { border: `2px dashed ${stateColor(state)}`, color: color("warning.fg") };
  if (state === "dry") return { border: `2px solid ${stateColor(state)}`, color: color("deferred.fg") };
  return { background: stateColor(state), color: STATES[state]?.ink ?? "#fff" };
};

/** A legend of the states that are there. */
export const StateLegend = ({ states, children }) =>
  h(
    Flex,
    { gap: 4, rowGap: 1, wrap: "wrap", fontSize: "xs", color: "fg.muted", "aria-hidden": true, "data-testid": "legend" },
    states.map((state) =>
      h(
        Flex,
        { key: state, align: "center", gap: 1.5 },
        h("span", { style: { ...SWATCH, ...cellStyle(state) } }, STATES[state].sign),
        STATES[state].word,
      ),
    ),
    children,
  );

const SWATCH = { width: 14, height: 14, borderRadius: 3, fontSize: 10, lineHeight: 1, textAlign: "center", display: "inline-grid", placeItems: "center" };

export function StateBadge({ state, children }) {
  const { token, word, sign } = STATES[state] ?? STATES.none;
  return h(
    Badge,
    { bg: `${token}.subtle`, color: `${token}.fg`, size: "md", whiteSpace: "nowrap", "data-state": state },
    h("span", { "aria-hidden": true }, sign),
    children ?? word,
  );
}

/** A page's frame: it scrolls, as the host gives it a fixed height. */
export const Page = ({ children, ...rest }) =>
  h(
    Box,
    { height: "100%", overflowY: "auto", p: { base: 3, md: 5 }, ...rest },
    h(Flex, { direction: "column", gap: 6, maxW: "1400px", mx: "auto" }, children),
  );

export const Section = ({ title, aside, children, level = "h3", id, ...rest }) =>
  h(
    Box,
    { as: "section", "aria-labelledby": id, ...rest },
    h(
      Flex,
      { align: "center", justify: "space-between", gap: 3, wrap: "wrap", mb: 2 },
      h(Heading, { as: level, size: "sm", id }, title),
      aside,
    ),
    children,
  );

export const Card = (props) =>
  h(Box, { borderWidth: "1px", borderColor: "border", borderRadius: "lg", bg: "bg", p: 4, ...props });

/** Numbers with names: in one row, or in rows of equal length, so that none stands alone. */
export function Figures({ label, children }) {
  const [ref, width] = useWidth();
  const shown = [children].flat().filter(Boolean);
  const fit = Math.max(1, Math.floor(width / FIGURE_WIDTH));
  const columns = Math.ceil(shown.length / Math.ceil(shown.length / fit));
  // Cells that are left over at the end widen the last one.
  const rest = columns * Math.ceil(shown.length / columns) - shown.length;
  return h(
    Box,
    {
      as: "dl",
      ref,
      "aria-label": label,
      display: "grid",
      gridTemplateColumns: `repeat(${columns}, minmax(0, 1fr))`,
      css: rest ? { "& > :last-child": { gridColumn: `span ${rest + 1}` } } : undefined,
      gap: "1px",
      bg: "border",
      borderWidth: "1px",
      borderColor: "border",
      borderRadius: "lg",
      overflow: "hidden",
    },
    shown,
  );
}

const FIGURE_WIDTH = 148; // pixels

export const Figure = ({ name, value, note, tone, testid }) =>
  h(
    Flex,
    { direction: "column", bg: "bg", px: 4, py: 3, minW: 0 },
    h(Text, { as: "dt", fontSize: "xs", color: "fg.muted", whiteSpace: "nowrap" }, name),
    h(
      Text,
      {
        as: "dd",
        fontSize: "2xl",
        lineHeight: "1.3",
        fontWeight: "semibold",
        fontVariantNumeric: "tabular-nums",
        whiteSpace: "nowrap",
        color: tone ? `${tone}.fg` : "fg",
        "data-testid": testid,
      },
      value,
    ),
    h(Text, { as: "dd", fontSize: "xs", color: "fg.muted", minH: "1.4em" }, note),
  );

/** A link within Airflow; `to` is a path of its router, which knows the base path. */
export const Inside = ({ to, children, ...rest }) =>
  h(Link, { asChild: true, color: "fg.info", ...rest }, h(ReactRouterDOM.Link, { to }, children));

/** A link to another site. The page itself never loads anything from there. */
export const Outside = ({ href, children, ...rest }) =>
  h(
    Link,
    { href, target: "_blank", rel: "noopener noreferrer", color: "fg.info", ...rest },
    children,
    h("span", { "aria-hidden": true }, " ↗"),
    h(Hidden, null, " (opens in a new tab)"),
  );

export const Hidden = ({ children, ...rest }) =>
  h(
    "span",
    {
      style: { position: "absolute", width: 1, height: 1, overflow: "hidden", clipPath: "inset(50%)", whiteSpace: "nowrap" },
      ...rest,
    },
    children,
  );

export const Loading = ({ what }) =>
  h(
    Flex,
    { direction: "column", gap: 4, "aria-busy": true, role: "status" },
    h(Hidden, null, `Loading ${what}`),
    h(Skeleton, { height: "84px", borderRadius: "lg" }),
    h(Skeleton, { height: "220px", borderRadius: "lg" }),
  );

/** Renders its children after the browser has painted what stands above them. */
export function Later({ height, children }) {
  const [ready, setReady] = React.useState(false);
  React.useEffect(() => setReady(true), []);
  return ready ? children : h(Skeleton, { height, borderRadius: "lg", "aria-busy": true });
}

export const Empty = ({ title, children, code }) =>
  h(
    EmptyState.Root,
    { "data-testid": "empty" },
    h(
      EmptyState.Content,
      null,
      h(EmptyState.Title, { fontSize: "lg" }, title),
      h(EmptyState.Description, { maxW: "60ch", textAlign: "center" }, children),
      code &&
        h(
          Code,
          { as: "pre", display: "block", p: 4, borderRadius: "md", fontSize: "sm", overflowX: "auto", maxW: "100%", textAlign: "left" },
          code,
        ),
    ),
  );

/** An error and what to do about it. */
export function Trouble({ error, what, retry }) {
  const [title, advice] = explained(error, what);
  return h(
    Alert.Root,
    { status: "error", role: "alert", alignItems: "center" },
    h(Alert.Indicator, null),
    h(Alert.Content, null, h(Alert.Title, null, title), h(Alert.Description, null, advice)),
    retry && h(Button, { size: "sm", variant: "outline", onClick: retry }, "Reload"),
  );
}

export function explained(error, what) {
  switch (error.status) {
    case 0:
      return ["Airflow does not respond.", "Showing the last data received. Retrying automatically."];
    case 401:
      return ["You are signed out.", "Load the page again to sign in."];
    case 403:
      return [
        `You don't have permission to see ${what}.`,
        "This needs read access to the DAG's runs, task instances and XComs: ask an administrator of Airflow.",
      ];
    case 404:
      return [`${what[0].toUpperCase()}${what.slice(1)} was not found.`, error.message];
    default:
      return [`${what[0].toUpperCase()}${what.slice(1)} could not be loaded.`, error.message];
  }
}

/** A confirmation. Closes when `onConfirm` succeeded; an error that it throws leaves it open. */
export function Confirm({ open, onClose, title, children, action, onConfirm, disabled }) {
  const [busy, setBusy] = React.useState(false);
  async function go() {
    setBusy(true);
    try {
      await onConfirm();
      onClose();
    } catch (error) {
      if (!(error instanceof ApiError)) throw error; // the dialog shows what the API refused
    } finally {
      setBusy(false);
    }
  }
  return h(
    Dialog.Root,
    { open, onOpenChange: (change) => change.open || onClose(), size: "sm", placement: "center", unmountOnExit: true },
    h(
      Portal,
      null,
      h(Dialog.Backdrop, null),
      h(
        Dialog.Positioner,
        null,
        h(
          Dialog.Content,
          null,
          h(Dialog.Header, null, h(Dialog.Title, null, title)),
          h(Dialog.Body, null, children),
          h(
            Dialog.Footer,
            null,
            h(Button, { variant: "outline", onClick: onClose }, "Cancel"),
            h(Button, { onClick: go, loading: busy, disabled, "data-testid": "confirm" }, action),
          ),
        ),
      ),
    ),
  );
}

/** One line about what just happened, which screen readers speak. */
export const Notice = ({ notice }) =>
  h(
    Box,
    // While it is empty it takes no room, not even the gap of the page.
    { role: "status", "aria-live": "polite", "data-testid": "notice", mt: notice ? 0 : -6 },
    notice &&
      h(
        Alert.Root,
        { status: notice.status, size: "sm" },
        h(Alert.Indicator, null),
        h(Alert.Content, null, h(Alert.Description, null, notice.text)),
      ),
  );

/** A name in a path of Airflow's pages, encoded as Airflow encodes it, or its tabs do not show as selected. */
const named = (id) => id.replace(/[%/?#\\]/g, encodeURIComponent);
export const runPath = (dagId, runId, tab = "") => `/dags/${named(dagId)}/runs/${named(runId)}${tab}`;
export const transferPath = (dagId, runId) => runPath(dagId, runId, "/plugin/transfer");
export const transfersPath = (dagId) => `/dags/${named(dagId)}/plugin/transfers`;
export const logPath = (dagId, runId, task) =>
  `${runPath(dagId, runId)}/tasks/${named(task.task_id)}${task.map_index >= 0 ? `/mapped/${task.map_index}` : ""}`;

const TAIL = 28; // characters at the end of a name that stay visible

/** A name on one line that, where it is too long, is shortened in its middle: both ends distinguish names. */
export function Middle({ text, tail = TAIL }) {
  const name = oneLine(text);
  const at = Math.max(0, name.length - Math.max(8, Math.min(tail, name.length - name.lastIndexOf("/", name.length - 2) - 1)));
  if (at < 8) return h("bdi", null, name);
  return h(
    "bdi",
    { style: { display: "flex", minWidth: 0, maxWidth: "100%" }, title: name },
    h("span", { style: { overflow: "hidden", textOverflow: "ellipsis", whiteSpace: "pre" } }, name.slice(0, at)),
    h("span", { style: { whiteSpace: "pre", flex: "none" } }, name.slice(at)),
  );
}

/** A bar from 0 to 1. */
export const Bar = ({ share, state, label, height = "6px", testid }) =>
  h(
    Box,
    {
      role: "progressbar",
      "aria-label": label,
      "aria-valuemin": 0,
      "aria-valuemax": 100,
      "aria-valuenow": Math.round(share * 100),
      bg: "bg.emphasized",
      borderRadius: "full",
      overflow: "hidden",
      height,
      width: "100%",
      "data-testid": testid,
    },
    h("div", {
      style: {
        width: `${share * 100}%`,
        height: "100%",
        borderRadius: "inherit",
        background: stateColor(state),
        transition: "width .6s ease-out",
      },
    }),
  );
