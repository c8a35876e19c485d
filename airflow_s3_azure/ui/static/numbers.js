/** The large numbers of a run. */
import { bytes, count, counted, isNumber, percent, rate } from "./format.js";
import { h } from "./host.js";
import { Figure, Figures } from "./parts.js";
import { hasEnded, hasFailed, UNPROVEN } from "./run.js";

/** What `verified` says, in words. */
export const PROOFS = { crc64nvme: "CRC-64/NVME", crc32: "CRC-32", crc32c: "CRC-32C", "composite-crc32": "composite CRC-32", "composite-crc32c": "composite CRC-32C", md5: "MD5", blocks: "block by block", transport: "in transit only" };
const PRICE = new Intl.NumberFormat("en", { minimumFractionDigits: 2, maximumFractionDigits: 2 });

export const Numbers = ({ all }) => (all.dryRun ? h(DryNumbers, { all }) : h(CopyNumbers, { all }));

/** What a dry run would copy, with how many requests, at what price. */
function DryNumbers({ all }) {
  const cost = all.cost ?? {};
  return h(
    Figures,
    { label: "What a run would do" },
    h(Figure, { name: "Would copy", value: count(cost.objects ?? all.toCopy), note: all.planned === null ? "" : `of ${counted(all.planned, "key")}`, testid: "to-copy" }),
    h(Figure, { name: "Size", value: bytes(cost.bytes ?? all.size), note: isNumber(cost.egress_gib) ? `${cost.egress_gib} GiB out of S3` : "", testid: "cost-bytes" }),
    h(Figure, { name: "Requests to S3", value: count(cost.s3_requests), note: "without listings", testid: "cost-s3" }),
    h(Figure, { name: "Requests to Azure", value: count(cost.azure_requests), note: "without listings", testid: "cost-azure" }),
    h(Figure, { name: "Price of egress", value: isNumber(cost.egress_price) ? PRICE.format(cost.egress_price) : "–", note: isNumber(cost.egress_price) ? "by your price per GiB" : "no price per GiB is set", testid: "cost-price" }),
    h(Figure, { name: "Unchanged", value: count(all.unchanged), note: "already in Azure", testid: "unchanged" }),
    h(Figure, { name: "Skipped", value: count(all.skipped), note: all.skipped ? "see the reasons below" : "", testid: "skipped" }),
  );
}

function CopyNumbers({ all }) {
  const share = all.verifiedShare;
  const proofs = Object.entries(all.verified ?? {}).map(([how, many]) => `${count(many)} ${PROOFS[how] ?? how}`);
  const speed = all.running ? (all.bytes_per_second ? "now" : "") : isNumber(all.bytes_read) ? `${bytes(all.bytes_read)} read from S3` : "";
  return h(
    Figures,
    { label: all.isReported ? "What the run did" : "What the run did so far" },
    h(Figure, { name: "Copied", value: count(all.copied), note: bytes(all.copied_bytes), testid: "copied" }),
    h(Figure, { name: "Unchanged", value: count(all.unchanged), note: "already in Azure", testid: "unchanged" }),
    h(Figure, { name: "Skipped", value: count(all.skipped), note: all.skipped ? "see the reasons below" : "", testid: "skipped" }),
    h(Figure, { name: "Failed", value: count(all.failed), note: all.objects ? `of ${counted(all.objects, "key")}` : "", tone: all.failed ? "failed" : undefined, testid: "failed" }),
    all.missing > 0 && h(Figure, { name: "Missing", value: count(all.missing), note: "not in the ledger", tone: "failed", testid: "missing" }),
    all.deleted > 0 && h(Figure, { name: "Deleted", value: count(all.deleted), note: "gone from S3", testid: "deleted" }),
    h(Figure, { name: "Throughput", value: rate(all.bytes_per_second), note: speed, testid: "throughput" }),
    h(Figure, { name: "Verified", value: share ? percent(share.proven, share.whole) : "–", note: proofs.join(", ") || (all.running ? "known at the end" : "nothing was copied"), testid: "verified" }),
  );
}

/** The numbers of copies of single objects, as far as their results were read. */
export function ObjectNumbers({ rows }) {
  const results = rows.map(({ summary }) => summary).filter(Boolean);
  const having = (status) => results.filter((one) => one.status === status).length;
  const failed = rows.filter(({ task }) => hasFailed(task)).length;
  const ended = rows.filter(({ task }) => hasEnded(task)).length;
  if (results.length < ended - failed) return null;
  const copied = results.filter((one) => one.status === "copied");
  const sum = (name) => copied.reduce((total, one) => total + (one[name] || 0), 0);
  const seconds = sum("seconds");
  const proven = copied.filter((one) => one.verified && !UNPROVEN.has(one.verified)).length;
  return h(
    Figures,
    { label: "What the copies did" },
    h(Figure, { name: "Copied", value: count(copied.length), note: bytes(sum("size")), testid: "objects-copied" }),
    h(Figure, { name: "Unchanged", value: count(having("unchanged")), note: "already in Azure" }),
    h(Figure, { name: "Skipped", value: count(having("skipped")), note: "" }),
    h(Figure, { name: "Failed", value: count(failed), note: `of ${counted(rows.length, "object")}`, tone: failed ? "failed" : undefined, testid: "objects-failed" }),
    h(Figure, { name: "Per object", value: seconds ? rate(sum("bytes_read") / seconds) : "–", note: "mean throughput of one" }),
    h(Figure, { name: "Verified", value: copied.length ? percent(proven, copied.length) : "–", note: copied.length ? "" : "nothing was copied" }),
  );
}
