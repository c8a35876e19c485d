/** The small things that all pages are made of. */
import { ApiError } from "./api.js";
import { ChakraUI, colour, h, React, ReactRouterDOM } from "./host.js";

const { Alert, Badge, Box, Button, Code, Dialog, EmptyState, Flex, Heading, Link, Portal, Skeleton, Text } = ChakraUI;

/** What each state looks like and is called. Colour is never the only sign. */
export const STATES = {
  success: { token: "success", word: "succeeded", sign: "✓" },
  done: { token: "success", word: "done", sign: "✓" },
  failed: { token: "failed", word: "failed", sign: "✕" },
  running: { token: "running", word: "running", sign: "▸" },
  retry: { token: "up_for_retry", word: "waits to try again", sign: "↻" },
  waiting: { token: "queued", word: "waiting", sign: "…" },
  skipped: { token: "skipped", word: "skipped", sign: "–" },
  missing: { token: "warning", word: "missing", sign: "?" },
  none: { token: "none", word: "no run", sign: "" },
};

export const stateColour = (state) => colour(`${STATES[state]?.token ?? "none"}.solid`);

export function StateBadge({ state, children }) {
  const { token, word, sign } = STATES[state] ?? STATES.none;
  return h(
    Badge,
    { bg: `${token}.subtle`, color: `${token}.fg`, size: "md", whiteSpace: "nowrap", "data-state": state },
    h("span", { "aria-hidden": true }, sign),
    children ?? word,
  );
}

/** A page's frame: it scrolls by itself, as the host gives it a fixed height. */
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

/** Numbers with names, in as many columns as there is room for. */
export const Figures = ({ label, children }) =>
  h(
    Box,
    {
      as: "dl",
      "aria-label": label,
      display: "flex",
      flexWrap: "wrap",
      gap: "1px",
      bg: "border",
      borderWidth: "1px",
      borderColor: "border",
      borderRadius: "lg",
      overflow: "hidden",
    },
    children,
  );

export const Figure = ({ name, value, note, tone, testid }) =>
  h(
    Flex,
    { direction: "column", bg: "bg", px: 4, py: 3, flex: "1 1 148px", minW: 0 },
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

/** A link within Airflow; `to` is a path of its router, so a base path is not our concern. */
export const Inside = ({ to, children, ...rest }) =>
  h(Link, { asChild: true, color: "fg.info", ...rest }, h(ReactRouterDOM.Link, { to }, children));

/** A link to another site, which the reader follows, never the page. */
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
    h(Hidden, null, `Reading ${what}`),
    h(Skeleton, { height: "84px", borderRadius: "lg" }),
    h(Skeleton, { height: "220px", borderRadius: "lg" }),
  );

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

/** What went wrong and what to do about it. */
export function Trouble({ error, what, retry }) {
  const [title, advice] = explained(error, what);
  return h(
    Alert.Root,
    { status: "error", role: "alert", alignItems: "center" },
    h(Alert.Indicator, null),
    h(Alert.Content, null, h(Alert.Title, null, title), h(Alert.Description, null, advice)),
    retry && h(Button, { size: "sm", variant: "outline", onClick: retry }, "Read again"),
  );
}

export function explained(error, what) {
  switch (error.status) {
    case 0:
      return ["Airflow does not answer.", "What is shown is from the last reading; it is read again by itself."];
    case 401:
      return ["You are not signed in any more.", "Load the page again to sign in."];
    case 403:
      return [
        `You may not see ${what}.`,
        "It takes the permission to read the DAG's runs, task instances and XComs: ask whoever gives you access to Airflow.",
      ];
    case 404:
      return [`${what[0].toUpperCase()}${what.slice(1)} cannot be found.`, error.message];
    default:
      return [`${what[0].toUpperCase()}${what.slice(1)} could not be read.`, error.message];
  }
}

/** Ask before doing. Closes when `onConfirm` succeeded; an error that it throws leaves it open. */
export function Confirm({ open, onClose, title, children, action, onConfirm, disabled }) {
  const [busy, setBusy] = React.useState(false);
  async function go() {
    setBusy(true);
    try {
      await onConfirm();
      onClose();
    } catch (error) {
      if (!(error instanceof ApiError)) throw error; // what the API refused is said in the dialog
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

/** One line of what just happened, which screen readers speak. */
export const Notice = ({ notice }) =>
  h(
    Box,
    // While there is nothing to say it takes no room, not even the gap of the page.
    { role: "status", "aria-live": "polite", "data-testid": "notice", mt: notice ? 0 : -6 },
    notice &&
      h(
        Alert.Root,
        { status: notice.status, size: "sm" },
        h(Alert.Indicator, null),
        h(Alert.Content, null, h(Alert.Description, null, notice.text)),
      ),
  );

/** A name in a path of Airflow's pages, written as Airflow writes it, or its tabs do not know that they are meant. */
const named = (id) => id.replace(/[%/?#\\]/g, encodeURIComponent);
export const runPath = (dagId, runId, tab = "") => `/dags/${named(dagId)}/runs/${named(runId)}${tab}`;
export const transferPath = (dagId, runId) => runPath(dagId, runId, "/plugin/transfer");
export const transfersPath = (dagId) => `/dags/${named(dagId)}/plugin/transfers`;
export const logPath = (dagId, runId, task) =>
  `${runPath(dagId, runId)}/tasks/${named(task.task_id)}${task.map_index >= 0 ? `/mapped/${task.map_index}` : ""}`;

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
        background: stateColour(state),
        transition: "width .6s ease-out",
      },
    }),
  );
