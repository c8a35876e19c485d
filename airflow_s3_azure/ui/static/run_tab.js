/** The tab "Transfer" of a run: what it moved, what it is moving, what it could not move and what to do about that. */
import { ApiError, path, post } from "./api.js";
import { Batches, isWithoutSummary } from "./batches.js";
import { bytes, count, counted, duration, percent, rate } from "./format.js";
import { ChakraUI, h, React } from "./host.js";
import { useLive } from "./live.js";
import { Bar, Confirm, Empty, Figure, Figures, Inside, Loading, logPath, Notice, Outside, Page, Section, StateBadge, transfersPath, Trouble } from "./parts.js";
import { s3Console, web } from "./places.js";
import { failures, hasEnded, hasFailed, outcome, retryTargets, RunReader, UNPROVEN } from "./run.js";

const { Alert, Box, Button, Code, Flex, Heading, Text } = ChakraUI;
const LIVE = 3_000;
const QUIET = 10_000;
const PROOFS = { crc64nvme: "CRC-64/NVME", crc32: "CRC-32", crc32c: "CRC-32C", "composite-crc32": "composite CRC-32", "composite-crc32c": "composite CRC-32C", md5: "MD5", blocks: "block by block", transport: "in transit only" };
const FINAL = new Set(["success", "failed"]);

export function RunTab({ dagId, runId }) {
  const reader = React.useRef(null);
  const [notice, setNotice] = React.useState(null);
  const [, redraw] = React.useReducer((many) => many + 1, 0);
  const { data, error, refresh } = useLive(
    (signal) => {
      reader.current ??= new RunReader(dagId, runId);
      if (reader.current.dagId !== dagId || reader.current.runId !== runId) reader.current = new RunReader(dagId, runId);
      return reader.current.read(signal);
    },
    ({ run, syncs, objects }) => {
      if (FINAL.has(run.state)) return null;
      const copying = [...syncs.flatMap((sync) => sync.batches), ...objects].some(({ task }) => !hasEnded(task));
      return copying ? LIVE : QUIET;
    },
    [dagId, runId],
  );

  /** Read what the rows that are looked at say of themselves. */
  const onSeen = React.useCallback(async (rows) => {
    const wanted = rows.filter(isWithoutSummary);
    if (!wanted.length) return;
    await Promise.all(
      wanted.map(async (row) => {
        row.summary = await reader.current.summary(row.task).catch(() => null);
      }),
    );
    redraw();
  }, []);

  if (!data) return h(Page, null, error ? h(Trouble, { error, what: "this run", retry: refresh }) : h(Loading, { what: "the run" }));
  const { run, syncs, objects } = data;
  const told = (text) => {
    setNotice({ status: "info", text });
    refresh();
  };
  return h(
    Page,
    { "data-testid": "transfer", "data-run-state": run.state },
    error && h(Trouble, { error, what: "this run", retry: refresh }),
    h(Notice, { notice }),
    syncs.map((sync) => h(Sync, { key: sync.id, sync, run, dagId, runId, onSeen, onRetry: told, named: syncs.length > 1 })),
    objects.length > 0 && h(Objects, { rows: objects, dagId, runId, onSeen }),
    !syncs.length && !objects.length && h(Nothing, { run }),
    h(Text, { fontSize: "sm" }, h(Inside, { to: transfersPath(dagId) }, "All transfers of this DAG")),
  );
}

function Nothing({ run }) {
  const begun = FINAL.has(run.state);
  return h(
    Empty,
    {
      title: begun ? "This run moved nothing from S3 to Azure" : "Nothing has begun yet",
      code: begun
        ? 'from airflow_s3_azure.sync_group import s3_to_azure_sync\n\ns3_to_azure_sync(s3_bucket="my-bucket", container_name="my-container")'
        : undefined,
    },
    begun
      ? "It has no task of S3 → Azure. To copy objects, add a sync to the DAG:"
      : "The run is waiting for a slot. This page follows it by itself.",
  );
}

function Sync({ sync, run, dagId, runId, onSeen, onRetry, named }) {
  const all = outcome(sync, run);
  const state = all.running ? "running" : (sync.report?.state ?? sync.plans[0]?.state) === "success" ? "success" : hasFailed(sync.report) || all.planFailed ? "failed" : run.state === "failed" ? "failed" : "skipped";
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
        h(Flex, { align: "center", gap: 2, wrap: "wrap" }, h(Heading, { as: "h2", size: "md", id }, named ? sync.id : "S3 → Azure"), h(StateBadge, { state }), all.dryRun && h(StateBadge, { state: "waiting" }, "dry run: nothing was copied")),
        h(Places, { all }),
      ),
      h(Retry, { sync, all, run, dagId, runId, onRetry }),
    ),
    all.running && h(Live, { all, sync }),
    h(Numbers, { all }),
    h(WhatWentWrong, { sync, all, dagId, runId }),
    all.isReported && !all.objects && h(Alert.Root, { status: "warning", size: "sm" }, h(Alert.Indicator, null), h(Alert.Content, null, h(Alert.Description, null, "No key was selected. Check the bucket, the prefix and the filters of the sync."))),
    sync.batches.length > 0 &&
      h(Section, { title: "Batches", id: `${id}-batches` }, h(Batches, { rows: sync.batches, dagId, runId, noun: "batch", onSeen })),
    h(Skips, { said: sync.said, all, id }),
  );
}

function Places({ all }) {
  const source = all.source ?? "";
  const sources = all.sources.length > 1 ? all.sources : [source].filter(Boolean);
  const console_ = s3Console(source);
  const destination = web(all.destination);
  const ledger = web(all.ledger);
  if (!sources.length && !destination && !ledger) return null;
  return h(
    Flex,
    { gap: 2, rowGap: 1, wrap: "wrap", fontSize: "sm", mt: 1, align: "baseline", overflowWrap: "anywhere", "data-testid": "places" },
    sources.length > 0 && (console_ && sources.length === 1 ? h(Outside, { href: console_, title: "In the S3 console" }, source) : h("span", null, sources.join(", "))),
    destination && h("span", { "aria-label": "to" }, "→"),
    destination && h(Outside, { href: destination, title: "The container" }, all.destination),
    ledger && (sources.length > 0 || destination) && h(Text, { as: "span", color: "fg.muted", "aria-hidden": true }, "·"),
    ledger && h(Outside, { href: ledger, title: "One line per key: JSON lines in the container" }, "ledger"),
  );
}

function Live({ all, sync }) {
  const planned = all.size !== null;
  const share = planned && all.size > 0 ? Math.min(1, all.doneSize / all.size) : all.toCopy ? Math.min(1, all.copied / all.toCopy) : 0;
  const now = sync.batches.map(({ task, progress }) => (task.state === "running" ? progress?.current : null)).find(Boolean);
  return h(
    Box,
    { "data-testid": "live" },
    h(
      Flex,
      { justify: "space-between", gap: 3, wrap: "wrap", fontSize: "sm", mb: 1.5, fontVariantNumeric: "tabular-nums" },
      h(Text, { fontWeight: "medium" }, planned ? `${percent(share, 1)} · ${bytes(all.doneSize)} of ${bytes(all.size)}` : "Listing both sides"),
      h(Text, { color: "fg.muted" }, [all.bytes_per_second ? rate(all.bytes_per_second) : null, all.left !== null ? `${duration(all.left)} left` : null].filter(Boolean).join(" · ")),
    ),
    h(Bar, { share, state: "running", height: "10px", label: "Progress of the sync", testid: "sync-bar" }),
    now && h(Text, { fontSize: "xs", color: "fg.muted", mt: 1, truncate: true, title: now }, `now ${now}`),
  );
}

function Numbers({ all }) {
  const share = all.verifiedShare;
  const proofs = Object.entries(all.verified ?? {}).map(([how, many]) => `${count(many)} ${PROOFS[how] ?? how}`);
  return h(
    Figures,
    { label: all.isReported ? "What the run did" : "What the run did so far" },
    all.dryRun
      ? h(Figure, { name: "Would copy", value: count(all.toCopy), note: bytes(all.size), testid: "to-copy" })
      : h(Figure, { name: "Copied", value: count(all.copied), note: bytes(all.copied_bytes), testid: "copied" }),
    h(Figure, { name: "Unchanged", value: count(all.unchanged), note: "already in Azure", testid: "unchanged" }),
    h(Figure, { name: "Skipped", value: count(all.skipped), note: all.skipped ? "see the reasons below" : "", testid: "skipped" }),
    h(Figure, { name: "Failed", value: count(all.failed), note: all.missing > 0 ? `and ${count(all.missing)} not done` : all.objects ? `of ${counted(all.objects, "key")}` : "", tone: all.failed || all.missing > 0 ? "failed" : undefined, testid: "failed" }),
    all.deleted > 0 && h(Figure, { name: "Deleted", value: count(all.deleted), note: "gone from S3", testid: "deleted" }),
    h(Figure, { name: "Throughput", value: rate(all.bytes_per_second), note: all.running ? "now" : all.bytes_read !== null && all.bytes_read !== undefined ? `${bytes(all.bytes_read)} read from S3` : "", testid: "throughput" }),
    h(Figure, { name: "Verified", value: share ? percent(share.proven, share.whole) : "–", note: proofs.join(", ") || (all.running ? "known at the end" : "nothing was copied"), testid: "verified" }),
  );
}

function Retry({ sync, all, run, dagId, runId, onRetry }) {
  const [open, setOpen] = React.useState(false);
  const [error, setError] = React.useState(null);
  const targets = retryTargets(sync);
  // Airflow tries by itself until the tries are used up; then somebody has to ask for more.
  if (!targets || (all.running && !all.failedBatches.length)) return null;
  const batches = all.failedBatches.length;
  const what = batches && !all.planFailed ? counted(batches, "failed batch") : all.planFailed ? "the plan" : "the report";

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
    onRetry(`Airflow runs ${what} again, and what comes after.`);
  }

  return h(
    Box,
    null,
    h(Button, { size: "sm", onClick: () => setOpen(true), "data-testid": "retry" }, `↻ Retry ${what}`),
    h(
      Confirm,
      { open, onClose: () => { setOpen(false); setError(null); }, title: `Retry ${what}?`, action: "Retry", onConfirm: clear },
      h(Text, null, "Airflow clears what failed and the tasks that come after it, and runs them again. Only keys that are not done are copied; what Azure already holds of them is kept."),
      error &&
        h(
          Text,
          { color: "failed.fg", mt: 3, role: "alert", "data-testid": "retry-error" },
          error instanceof ApiError && error.status === 403
            ? "You may look at this run but not clear its tasks: ask someone who may edit the DAG."
            : `Airflow did not clear the tasks: ${error.message}`,
        ),
    ),
  );
}

function WhatWentWrong({ sync, all, dagId, runId }) {
  const found = failures(sync);
  const silent = all.failedBatches.filter(({ summary }) => !summary);
  const plan = sync.plans.find(hasFailed);
  const known = Math.max(all.failed ?? 0, found.length);
  if (!found.length && !silent.length && !plan && !(all.reportFailed && !all.isReported) && !(all.missing > 0)) return null;
  return h(
    Section,
    { title: found.length ? `Failed keys (${count(known)})` : "What went wrong", id: `failed-${sync.id}` },
    h(
      Box,
      { borderWidth: "1px", borderColor: "failed.muted", borderRadius: "lg", overflow: "hidden", "data-testid": "failures" },
      plan && h(Problem, { text: "The plan failed, so nothing was copied.", link: logPath(dagId, runId, plan), label: "log of the plan" }),
      !plan && all.reportFailed && !all.isReported && !all.failedBatches.length && h(Problem, { text: "The report failed before it could add up.", link: logPath(dagId, runId, sync.report), label: "log of the report" }),
      all.missing > 0 && h(Problem, { text: `${counted(all.missing, "key")} of the plan ${all.missing === 1 ? "is" : "are"} not in the ledger: their batches did not end.` }),
      silent.slice(0, 10).map(({ task, index, label }) =>
        h(Problem, { key: index, text: `Batch ${index}, ${label}, ended without a summary.`, link: logPath(dagId, runId, task), label: "its log" }),
      ),
      found.map(({ key, error, batch }) => {
        const task = sync.batches.find((row) => row.index === batch)?.task;
        return h(Problem, { key, name: key, text: withoutKey(error), link: task && logPath(dagId, runId, task), label: `log of batch ${batch}` });
      }),
    ),
    known > found.length && h(Text, { fontSize: "sm", color: "fg.muted", mt: 1 }, `${count(known - found.length)} more are in the ledger.`),
  );
}

const Problem = ({ name, text, link, label }) =>
  h(
    Flex,
    { gap: 3, px: 3, py: 2, borderTopWidth: "1px", borderColor: "border.muted", _first: { borderTopWidth: 0 }, justify: "space-between", align: "baseline", wrap: { base: "wrap", md: "nowrap" }, "data-testid": "failure" },
    h(
      Box,
      { minW: 0 },
      name !== undefined && h(Code, { display: "block", bg: "transparent", p: 0, overflowWrap: "anywhere", whiteSpace: "pre-wrap", color: "fg" }, name),
      h(Text, { fontSize: "sm", color: name === undefined ? "fg" : "fg.muted", overflowWrap: "anywhere" }, text),
    ),
    link && h(Inside, { to: link, fontSize: "sm", whiteSpace: "nowrap" }, label),
  );

/** The error without the key and the blob that it begins with: the key stands above it. */
export const withoutKey = (error) => String(error ?? "").replace(/^(\w+: )?('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")( -> ('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"))?: /s, "$1");

function Skips({ said, all, id }) {
  const found = said?.skips ?? [];
  if (!all.skipped) return null;
  return h(
    Section,
    { title: `Skipped keys (${count(all.skipped)})`, id: `${id}-skipped` },
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

function Objects({ rows, dagId, runId, onSeen }) {
  const results = rows.map(({ summary }) => summary).filter(Boolean);
  const sum = (name) => results.reduce((total, one) => total + (one[name] || 0), 0);
  const having = (status) => results.filter((one) => one.status === status).length;
  const ended = rows.filter(({ task }) => hasEnded(task));
  const failed = rows.filter(({ task }) => hasFailed(task)).length;
  const known = results.length >= ended.length - failed;
  const copied = results.filter((one) => one.status === "copied");
  const seconds = copied.reduce((total, one) => total + (one.seconds || 0), 0);
  const proven = copied.filter((one) => one.verified && !UNPROVEN.has(one.verified)).length;
  return h(
    Section,
    { title: "Single objects", level: "h2", id: "objects" },
    h(
      Flex,
      { direction: "column", gap: 4 },
      known &&
        h(
          Figures,
          { label: "What the copies did" },
          h(Figure, { name: "Copied", value: count(having("copied")), note: bytes(copied.reduce((total, one) => total + (one.size || 0), 0)), testid: "objects-copied" }),
          h(Figure, { name: "Unchanged", value: count(having("unchanged")), note: "already in Azure" }),
          h(Figure, { name: "Skipped", value: count(having("skipped")), note: "" }),
          h(Figure, { name: "Failed", value: count(failed), note: `of ${counted(rows.length, "object")}`, tone: failed ? "failed" : undefined }),
          h(Figure, { name: "Per object", value: seconds ? rate(sum("bytes_read") / seconds) : "–", note: "mean throughput of one" }),
          h(Figure, { name: "Verified", value: copied.length ? percent(proven, copied.length) : "–", note: "" }),
        ),
      h(Batches, { rows, dagId, runId, noun: "object", onSeen }),
    ),
  );
}
