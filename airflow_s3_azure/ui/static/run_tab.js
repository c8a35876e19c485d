/** The tab "Transfer" of a run: what it copied, what it is copying, what failed, and how to retry that. */
import { ApiError, path, post } from "./api.js";
import { Audits } from "./audit.js";
import { Batches } from "./batches.js";
import { bytes, counted, duration, oneLine, percent, rate } from "./format.js";
import { isQuiet } from "./history.js";
import { ChakraUI, h, React } from "./host.js";
import { useLive } from "./live.js";
import { Numbers, ObjectNumbers } from "./numbers.js";
import { Bar, Confirm, Empty, Inside, Loading, Notice, Outside, Page, Section, StateBadge, transfersPath, Trouble } from "./parts.js";
import { s3Console, web } from "./places.js";
import { Preflights } from "./preflight.js";
import { Approval, ObjectProblems, Problems, Skips } from "./problems.js";
import { hasEnded, hasFailed, outcome, retryTargets } from "./run.js";
import { FAILURES_AT_ONCE, RunReader } from "./run_reader.js";

const { Alert, Box, Button, Flex, Heading, Text } = ChakraUI;
const LIVE = 3_000;
const QUIET = 10_000;
const FINAL = new Set(["success", "failed"]);

export function RunTab({ dagId, runId }) {
  const reader = React.useRef(null);
  const [notice, setNotice] = React.useState(null);
  const [, redraw] = React.useReducer((many) => many + 1, 0);
  const { data, error, refresh } = useLive(
    (signal, show) => {
      reader.current ??= new RunReader(dagId, runId);
      if (reader.current.dagId !== dagId || reader.current.runId !== runId) reader.current = new RunReader(dagId, runId);
      return reader.current.read(signal, show);
    },
    ({ run, syncs, objects }) => {
      if (FINAL.has(run.state)) return null;
      const copying = [...syncs.flatMap((sync) => sync.batches), ...objects].some(({ task }) => !hasEnded(task));
      return copying ? LIVE : QUIET;
    },
    [dagId, runId],
  );

  /** Read what the visible rows report. */
  const onSeen = React.useCallback(async (rows) => {
    const wanted = rows.filter((row) => hasEnded(row.task) && !row.isRead);
    if (!wanted.length) return;
    await Promise.all(
      wanted.map(async (row) => {
        row.summary = await reader.current.summary(row.task).catch(() => null);
        row.isRead = true;
      }),
    );
    redraw();
  }, []);

  /** Read why the next failed batches or copies failed. */
  const onMore = React.useCallback(async (rows) => {
    await Promise.all(
      rows.slice(0, FAILURES_AT_ONCE).map(async (row) => {
        row.summary = await reader.current.summary(row.task).catch(() => null);
        row.isRead = true;
        if (!row.summary) row.error = await reader.current.error(row.task).catch(() => null);
        row.isErrorRead = true;
      }),
    );
    redraw();
  }, []);

  if (!data) return h(Page, null, error ? h(Trouble, { error, what: "this run", retry: refresh }) : h(Loading, { what: "the run" }));
  const { run, syncs, objects, audits, preflights, isPartial } = data;
  const notify = (text) => {
    setNotice({ status: "info", text });
    refresh();
  };
  const shared = { run, dagId, runId, onSeen, onMore, isPartial };
  return h(
    Page,
    { "data-testid": "transfer", "data-run-state": run.state },
    error && h(Trouble, { error, what: "this run", retry: refresh }),
    h(Notice, { notice }),
    syncs.map((sync) => h(Sync, { key: sync.id, sync, ...shared, onRetry: notify, named: syncs.length > 1 })),
    isPartial && h(Loading, { what: "the batches" }),
    !isPartial && objects.length > 0 && h(Objects, { rows: objects, ...shared }),
    !isPartial && audits.length > 0 && h(Audits, { rows: audits, dagId, runId }),
    !isPartial && preflights.length > 0 && h(Preflights, { rows: preflights, dagId, runId }),
    !isPartial && !syncs.length && !objects.length && !audits.length && !preflights.length && h(Nothing, { run }),
    h(Text, { fontSize: "sm" }, h(Inside, { to: transfersPath(dagId) }, "All transfers of this DAG")),
  );
}

function Nothing({ run }) {
  const begun = FINAL.has(run.state);
  return h(
    Empty,
    {
      title: begun ? "This run copied nothing from S3 to Azure" : "Nothing has begun yet",
      code: begun
        ? 'from airflow_s3_azure.sync_group import s3_to_azure_sync\n\ns3_to_azure_sync(s3_bucket="my-bucket", container_name="my-container")'
        : undefined,
    },
    begun
      ? "It has no task of S3 → Azure. To copy objects, add a sync to the DAG:"
      : "The run is waiting for a slot. This page updates automatically.",
  );
}

/** The state of a sync, for its badge. */
function stateOf(sync, all, run) {
  if (sync.approval) return "approval";
  if (all.running) return "running";
  if (hasFailed(sync.report) || all.planFailed || run.state === "failed") return "failed";
  if ((sync.report?.state ?? sync.plans[0]?.state) !== "success") return "skipped";
  return all.dryRun ? "dry" : "success";
}

/** A sync; of one whose batches are not all read yet, what does not depend on them. */
function Sync({ sync, run, dagId, runId, onSeen, onMore, onRetry, named, isPartial }) {
  const all = outcome(sync, run);
  const state = stateOf(sync, all, run);
  const id = `sync-${sync.id || "all"}`;
  return h(
    Flex,
    { as: "section", direction: "column", gap: 5, "aria-labelledby": id, "data-testid": "sync", "data-group": sync.id },
    h(
      Flex,
      { align: "start", justify: "space-between", gap: 3, wrap: "wrap" },
      h(
        Box,
        { minW: 0, flex: "1 1 320px" },
        h(
          Flex,
          { align: "center", gap: 2, wrap: "wrap" },
          h(Heading, { as: "h2", size: "md", id }, named ? sync.id : "S3 → Azure"),
          h(StateBadge, { state }, state === "dry" ? "dry run: nothing was copied" : undefined),
          state === "success" && isQuiet(sync.reported) && sync.reported.objects > 0 && h(Text, { fontSize: "sm", color: "fg.muted", "data-testid": "quiet" }, "nothing new"),
        ),
        h(Places, { all }),
      ),
      !isPartial && h(Retry, { sync, all, run, dagId, onRetry }),
    ),
    sync.approval && h(Approval, { approval: sync.approval, plan: sync.plan, dagId, runId }),
    !isPartial && all.running && !sync.approval && h(Live, { all, sync }),
    !all.planFailed && (all.isReported || !isPartial) && h(Numbers, { all }),
    !isPartial && h(Problems, { sync, all, dagId, runId, onMore }),
    all.isReported && all.planned === 0 && h(NoKeys, null),
    !isPartial && sync.batches.length > 0 &&
      h(Section, { title: "Batches", id: `${id}-batches` }, h(Batches, { rows: sync.batches, dagId, runId, noun: "batch", onSeen })),
    h(Skips, { reported: sync.reported, all, id }),
  );
}

const NoKeys = () =>
  h(
    Alert.Root,
    { status: "warning", size: "sm", "data-testid": "no-keys" },
    h(Alert.Indicator, null),
    h(Alert.Content, null, h(Alert.Description, null, "No key was selected. Check the bucket, the prefix and the filters of the sync.")),
  );

const MOST_SOURCES = 5;

function Places({ all }) {
  const source = all.source ?? "";
  const sources = all.sources.length > 1 ? all.sources : [source].filter(Boolean);
  const console_ = s3Console(source);
  const destination = web(all.destination);
  const ledger = web(all.ledger, destination);
  if (!sources.length && !destination && !ledger) return null;
  const more = sources.length > MOST_SOURCES ? ` and ${counted(sources.length - MOST_SOURCES, "more prefix")}` : "";
  return h(
    Flex,
    { gap: 2, rowGap: 1, wrap: "wrap", fontSize: "sm", mt: 1, align: "baseline", overflowWrap: "anywhere", "data-testid": "places" },
    sources.length > 0 &&
      (console_ && sources.length === 1
        ? h(Outside, { href: console_, title: "In the S3 console" }, oneLine(source))
        : h("span", null, sources.slice(0, MOST_SOURCES).map(oneLine).join(", ") + more)),
    // One item, so that no line ends with the arrow.
    destination && h(Flex, { as: "span", gap: 2, minW: 0 }, h("span", { "aria-label": "to" }, "→"), h(Outside, { href: destination, title: "The container" }, oneLine(all.destination))),
    ledger && h(Outside, { href: ledger, title: "One line per key: JSON lines in the container" }, "ledger"),
  );
}

function Live({ all, sync }) {
  const planned = all.size !== null;
  const share = planned && all.size > 0 ? Math.min(1, all.doneSize / all.size) : all.toCopy ? Math.min(1, all.copied / all.toCopy) : 0;
  const now = sync.batches.map(({ task, progress }) => (task.state === "running" ? progress?.current : null)).find(Boolean);
  const listed = sync.plans.filter(hasEnded).length;
  const listing = sync.plans.length > 1 ? `Listing source and destination: ${listed} of ${counted(sync.plans.length, "prefix")}` : "Listing source and destination";
  return h(
    Box,
    { "data-testid": "live" },
    h(
      Flex,
      { justify: "space-between", gap: 3, wrap: "wrap", fontSize: "sm", mb: 1.5, fontVariantNumeric: "tabular-nums" },
      h(Text, { fontWeight: "medium" }, planned ? `${percent(share, 1)} · ${bytes(all.doneSize)} of ${bytes(all.size)}` : listing),
      h(Text, { color: "fg.muted" }, [all.bytes_per_second ? rate(all.bytes_per_second) : null, all.left !== null ? `${duration(all.left)} left` : null].filter(Boolean).join(" · ")),
    ),
    h(Bar, { share, state: "running", height: "10px", label: "Progress of the sync", testid: "sync-bar" }),
    now && h(Text, { fontSize: "xs", color: "fg.muted", mt: 1, truncate: true, title: now }, `now ${oneLine(now)}`),
  );
}

/** What Retry clears, in words. */
function retried(sync, all, targets, batches) {
  if (all.planFailed) return "the plan";
  if (targets.some((id) => sync.others.some((task) => task.task_id === id && task.task_id.includes("approve_")))) return "the approval";
  if (!batches) return "the report";
  return all.incompleteBatches.length ? counted(batches, "incomplete batch") : counted(batches, "failed batch");
}

function Retry({ sync, all, run, dagId, onRetry }) {
  const [open, setOpen] = React.useState(false);
  const [error, setError] = React.useState(null);
  const targets = retryTargets(sync);
  const batches = all.failedBatches.length + all.incompleteBatches.length;
  // Airflow retries until the tries are used up; only then somebody has to grant more.
  if (!targets || (all.running && !batches)) return null;
  const what = retried(sync, all, targets, batches);

  async function clear() {
    setError(null);
    try {
      await post(path`dags/${dagId}/clearTaskInstances`, {
        dry_run: false,
        dag_run_id: run.dag_run_id,
        task_ids: targets,
        only_failed: false,
        include_downstream: true,
        reset_dag_runs: true,
      });
    } catch (caught) {
      setError(caught);
      throw caught;
    }
    onRetry(`Airflow runs ${what} again, and the tasks after it.`);
  }

  return h(
    Box,
    null,
    h(Button, { size: "sm", onClick: () => setOpen(true), "data-testid": "retry" }, `↻ Retry ${what}`),
    h(
      Confirm,
      { open, onClose: () => { setOpen(false); setError(null); }, title: `Retry ${what}?`, action: "Retry", onConfirm: clear },
      h(Text, null, "Airflow clears what failed and the tasks after it, and runs them again. Only keys without a copy are copied; blocks that Azure already holds are reused."),
      error &&
        h(
          Text,
          { color: "failed.fg", mt: 3, role: "alert", "data-testid": "retry-error" },
          error instanceof ApiError && error.status === 403
            ? "You don't have permission to clear tasks in this run: ask someone who may edit the DAG."
            : `Airflow did not clear the tasks: ${error.message}`,
        ),
    ),
  );
}

function Objects({ rows, dagId, runId, onSeen, onMore }) {
  return h(
    Section,
    { title: "Single objects", level: "h2", id: "objects" },
    h(
      Flex,
      { direction: "column", gap: 4 },
      h(ObjectNumbers, { rows }),
      h(ObjectProblems, { rows, dagId, runId, onMore }),
      h(Batches, { rows, dagId, runId, noun: "object", onSeen }),
    ),
  );
}
