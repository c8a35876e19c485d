/** What failed in a run, what is missing, what was skipped, and what waits for a decision. */
import { count, counted, oneLine } from "./format.js";
import { ChakraUI, h, React, ReactRouterDOM } from "./host.js";
import { Inside, logPath, Section } from "./parts.js";
import { failures, hasFailed } from "./run.js";

const { Alert, Box, Button, Code, Flex, Text } = ChakraUI;
const MOST = 10;

/** The failed tasks of a sync that are no batches, as [words, task]: what each of them stops. */
function failedTasks(sync, all) {
  const plans = sync.plans.filter((task) => task.state === "failed");
  const several = sync.plans.length > 1;
  const found = plans.map((task) => [several ? `The plan of ${task.rendered_map_index ?? task.map_index} failed.` : "The plan failed, so nothing was copied.", "the plan", task]);
  if (!plans.length && hasFailed(sync.plans[0])) found.push(["A task before the plan failed, so nothing was copied.", null, sync.plans[0]]);
  if (sync.batchesTask?.state === "failed") found.push(["The plans could not be put together, so nothing was copied.", "the task", sync.batchesTask]);
  for (const task of sync.others) if (task.state === "failed") found.push([`Task ${task.task_id} failed.`, "the task", task]);
  if (!plans.length && all.reportFailed && !all.isReported && !all.failedBatches.length && sync.report.state === "failed") {
    found.push(["The report failed, so there are no totals.", "the report", sync.report]);
  }
  return found;
}

export function Problems({ sync, all, dagId, runId, onMore }) {
  const keys = failures(sync);
  const silent = all.failedBatches.filter((row) => row.isRead && !row.summary);
  const unread = all.failedBatches.filter((row) => !row.isRead);
  const tasks = failedTasks(sync, all);
  const incomplete = all.incompleteBatches;
  const missing = sync.reported?.missing_keys ?? [];
  const known = Math.max(all.failed ?? 0, keys.length);
  if (!keys.length && !silent.length && !unread.length && !tasks.length && !incomplete.length && !(all.missing > 0)) return null;
  const log = (task) => logPath(dagId, runId, task);
  const taskOf = (batch) => sync.batches.find((row) => row.index === batch)?.task;
  return h(
    Section,
    { title: keys.length ? `Failed keys (${count(known)})${missing.length ? ", missing keys" : ""}` : missing.length ? `Missing keys (${count(all.missing)})` : "Errors", id: `failed-${sync.id}` },
    h(
      Box,
      { borderWidth: "1px", borderColor: "failed.muted", borderRadius: "lg", overflow: "hidden", "data-testid": "failures" },
      tasks.slice(0, MOST).map(([text, what, task]) =>
        h(Problem, { key: task.id, title: text, text: sync.errors.get(task), link: what && log(task), label: `log of ${what}` }),
      ),
      tasks.length > MOST && h(Problem, { text: `${counted(tasks.length - MOST, "more task")} failed.` }),
      incomplete.slice(0, MOST).map(({ task, index, label }) =>
        h(Problem, { key: `incomplete ${index}`, title: `Batch ${index}, ${oneLine(label)}, was marked as a success, but has keys without a copy. Retry copies them.`, link: log(task), label: `log of batch ${index}` }),
      ),
      all.missing > 0 && h(Problem, { title: `${counted(all.missing, "key")} of the plan ${all.missing === 1 ? "is" : "are"} not in the ledger: ${all.missing === 1 ? "its batch" : "their batches"} did not end.` }),
      missing.map(({ key, batch }) => h(Problem, { key: `missing ${key}`, name: key, text: `missing, of batch ${batch}`, link: taskOf(batch) && log(taskOf(batch)), label: `log of batch ${batch}` })),
      silent.slice(0, MOST).map(({ task, index, label, error }) =>
        h(Problem, { key: index, title: `Batch ${index}, ${oneLine(label)}, ended without a summary.`, text: error, link: log(task), label: `log of batch ${index}` }),
      ),
      keys.map(({ key, error, batch }) =>
        h(Problem, { key, name: key, text: withoutKey(error), link: taskOf(batch) && log(taskOf(batch)), label: `log of batch ${batch}` }),
      ),
    ),
    h(More, { rows: unread, noun: "failed batch", onMore }),
    known > keys.length && keys.length > 0 && h(Text, { fontSize: "sm", color: "fg.muted", mt: 1 }, `${count(known - keys.length)} more are in the ledger.`),
  );
}

/** Why single copies failed. */
export function ObjectProblems({ rows, dagId, runId, onMore }) {
  const failed = rows.filter(({ task }) => task.state === "failed");
  const shown = failed.filter((row) => row.isErrorRead);
  if (!failed.length) return null;
  return h(
    Section,
    { title: `Failed objects (${count(failed.length)})`, id: "failed-objects" },
    h(
      Box,
      { borderWidth: "1px", borderColor: "failed.muted", borderRadius: "lg", overflow: "hidden", "data-testid": "failures" },
      shown.map(({ task, label, index, error }) =>
        h(Problem, { key: index, name: label, text: error ? withoutKey(error) : "Its log does not name an error.", link: logPath(dagId, runId, task), label: "its log" }),
      ),
      !shown.length && h(Problem, { text: "See their logs for the errors." }),
    ),
    h(More, { rows: failed.filter((row) => !shown.includes(row)), noun: "failed object", onMore }),
  );
}

function More({ rows, noun, onMore }) {
  const [busy, setBusy] = React.useState(false);
  if (!rows.length) return null;
  const read = async () => {
    setBusy(true);
    await onMore(rows);
    setBusy(false);
  };
  return h(
    Flex,
    { align: "center", gap: 3, mt: 2, fontSize: "sm", color: "fg.muted" },
    h(Text, null, `The errors of ${counted(rows.length, noun)} are not shown.`),
    h(Button, { size: "xs", variant: "outline", onClick: read, loading: busy, "data-testid": "more-errors" }, "Show more"),
  );
}

export const Problem = ({ name, title, text, link, label }) =>
  h(
    Flex,
    { gap: 3, px: 3, py: 2, borderTopWidth: "1px", borderColor: "border.muted", _first: { borderTopWidth: 0 }, justify: "space-between", align: "baseline", wrap: { base: "wrap", md: "nowrap" }, "data-testid": "failure" },
    h(
      Box,
      { minW: 0 },
      name !== undefined && h(Code, { display: "block", bg: "transparent", p: 0, overflowWrap: "anywhere", whiteSpace: "pre-wrap", color: "fg" }, oneLine(name)),
      title && h(Text, { fontSize: "sm", overflowWrap: "anywhere" }, title),
      text && h(Text, { fontSize: "sm", color: "fg.muted", overflowWrap: "anywhere", whiteSpace: "pre-line" }, text),
    ),
    link && h(Inside, { to: link, fontSize: "sm", whiteSpace: "nowrap" }, label),
  );

/** The error without the key and the blob at its beginning: the key stands above it. */
export const withoutKey = (error) => String(error ?? "").replace(/^(\w+: )?('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")( -> ('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"))?: /s, "$1");

export function Skips({ reported, all, id }) {
  const found = reported?.skips ?? [];
  if (!all.skipped) return null;
  return h(
    Section,
    { title: `Skipped keys (${count(all.skipped)})`, id: `${id}-skipped` },
    reported?.archived > 0 &&
      h(Text, { fontSize: "sm", color: "fg.muted", mb: 1, "data-testid": "archived" }, `${counted(reported.archived, "key")} of archived objects: restore them in S3, or set archived='restore', to copy them.`),
    found.length > 0 &&
      h(
        Box,
        { borderWidth: "1px", borderColor: "border", borderRadius: "lg", overflow: "hidden", "data-testid": "skips" },
        found.map(({ key, reason }) => h(Problem, { key, name: key, text: reason })),
      ),
    all.skipped > found.length &&
      h(Text, { fontSize: "sm", color: "fg.muted", mt: found.length ? 1 : 0 }, found.length ? `${count(all.skipped - found.length)} more are in the ledger.` : "Their names and reasons are in the ledger."),
  );
}

/** A deletion or a restore that waits for a human: how many blobs, which, and where to decide. */
export function Approval({ approval, plan, dagId, runId }) {
  const lines = approval.body.split("\n").map((line) => line.replaceAll("**", "").replace(/^\* /, "• ").replaceAll("`", "").trim()).filter(Boolean);
  return h(
    Alert.Root,
    { status: "warning", alignItems: "start", "data-testid": "approval" },
    h(Alert.Indicator, null),
    h(
      Alert.Content,
      { minW: 0 },
      h(Alert.Title, null, plan?.extra && approval.task.task_id.endsWith("approve_delete") ? `Waiting for approval to delete ${counted(plan.extra, "blob")}` : approval.subject),
      h(Alert.Description, { overflowWrap: "anywhere" }, lines.slice(0, 30).map((line, at) => h(Text, { key: at, fontSize: "sm" }, line))),
    ),
    h(
      Button,
      { asChild: true, size: "sm", flex: "none" },
      h(ReactRouterDOM.Link, { to: `${logPath(dagId, runId, approval.task)}/required_actions` }, "Approve or reject…"),
    ),
  );
}
