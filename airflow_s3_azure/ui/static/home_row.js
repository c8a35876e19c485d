/** The row on the home page: how many syncs are well, and the ones that are not. */
import { count, counted, shortDay } from "./format.js";
import { entry, dagOf, readReports } from "./history.js";
import { ChakraUI, color, h } from "./host.js";
import { useLive, useWidth } from "./live.js";
import { inShort } from "./nav_page.js";
import { Inside, STATES, transferPath } from "./parts.js";
import { manualRuns, SyncsReader } from "./syncs.js";

const { Flex, Skeleton, Text } = ChakraUI;
const WHILE_RUNNING = 30_000;
const MOST = 6; // syncs with their numbers
const NAMED = 270; // pixels that a sync takes
const COUNTS = 420; // pixels for the title, the counts and the link

let reader;

/** {syncs, shown, unchecked, mark}: all syncs, and entries of the first of them. Shown before those are read: {…, isPartial}. */
async function readHome(signal, show) {
  reader ??= new SyncsReader();
  const { syncs, unchecked, mark } = await reader.read(0, signal, (part) => show({ ...part, shown: [] }));
  const shown = syncs.slice(0, MOST);
  if (!shown.length) return { syncs, shown, unchecked, mark };
  const [runs, dags] = await Promise.all([
    manualRuns(shown.map((sync) => sync.dagId), signal),
    Promise.all(shown.map((sync) => dagOf(sync.dagId, signal, {}))),
  ]);
  const entries = shown.map((sync, at) => entry(sync.task, runs.get(`${sync.dagId}\n${sync.runId}`), dags[at].zone, reader.dry));
  await readReports(entries, signal, { most: MOST, events: reader.recent?.events });
  return { syncs, shown: entries.map((one, at) => ({ ...one, state: shown[at].state })), unchecked, mark };
}

export function HomeRow() {
  const [ref, width] = useWidth();
  const { data, error } = useLive(readHome, ({ syncs }) => (syncs.some((sync) => sync.state === "running") ? WHILE_RUNNING : null), []);
  const fit = Math.max(0, Math.min(MOST, Math.floor((width - COUNTS) / NAMED)));
  return h(
    Flex,
    // One line of one height from the first moment, so that nothing below it moves.
    { as: "section", ref, "aria-label": "S3 → Azure, newest runs", align: "center", gap: 3, height: "44px", overflow: "hidden", whiteSpace: "nowrap", borderWidth: "1px", borderColor: "border", borderRadius: "lg", px: 4, my: 2, "data-testid": "home-row", "aria-busy": !data && !error },
    h(Inside, { to: "/plugin/s3-to-azure", fontWeight: "semibold", fontSize: "sm", color: "fg", flex: "none" }, "S3 → Azure"),
    !data && (error ? h(Text, { fontSize: "sm", color: "fg.muted" }, "could not be loaded") : h(Skeleton, { height: "16px", flex: "1" })),
    data && !data.syncs.length && h(Text, { fontSize: "sm", color: "fg.muted" }, "No sync has run yet."),
    data?.syncs.length > 0 && h(Syncs, { data, fit }),
  );
}

const inWords = ({ state, report }) => {
  if (state === "success") return inShort(report);
  return report?.failed ? `${count(report.failed)} failed` : STATES[state].word;
};

function Syncs({ data: { syncs, shown, unchecked, isPartial }, fit }) {
  const named = shown.slice(0, fit);
  const hidden = syncs.length - named.length;
  const states = ["failed", "running", "success", "dry", "skipped"].map((state) => [state, syncs.filter((sync) => sync.state === state).length]);
  return [
    h(
      Text,
      { key: "counts", fontSize: "sm", color: "fg.muted", flex: "none", whiteSpace: "pre", "data-testid": "home-counts" },
      states.filter(([, many]) => many).map(([state, many]) => h("span", { key: state, style: { marginRight: 8, color: state === "failed" ? color("failed.fg") : undefined } }, `${STATES[state].sign} ${count(many)} ${STATES[state].word} `)),
    ),
    isPartial && h(Skeleton, { key: "loading", height: "16px", flex: "1", "aria-busy": true }),
    !isPartial && h(
      Flex,
      { key: "syncs", as: "ul", gap: 2, listStyleType: "none", m: 0, p: 0, minW: 0, flex: "1", overflow: "hidden" },
      named.map((one) =>
        h(
          Flex,
          { as: "li", key: `${one.dagId} ${one.taskId}`, align: "center", gap: 2, fontSize: "sm", px: 2, py: 0.5, borderRadius: "md", bg: `${STATES[one.state].token}.subtle`, color: `${STATES[one.state].token}.fg`, "data-dag": one.dagId, "data-state": one.state, minW: 0, flex: "0 1 auto" },
          h("span", { "aria-hidden": true }, STATES[one.state].sign),
          h(Inside, { to: transferPath(one.dagId, one.runId), color: "inherit", title: one.dagId, maxW: "190px", truncate: true, display: "block", flex: "none" }, one.dagId),
          h(
            Text,
            { as: "span", fontSize: "xs", truncate: true },
            [one.from && shortDay(one.from, one.zone), inWords(one)].filter(Boolean).join(" · "),
          ),
        ),
      ),
    ),
    !isPartial && (hidden > 0 || unchecked > 0) &&
      h(Inside, { key: "more", to: "/plugin/s3-to-azure", fontSize: "sm", flex: "none", "data-testid": "home-more" }, named.length ? `${count(hidden)} more` : `all ${counted(syncs.length, "sync")}`),
  ];
}
