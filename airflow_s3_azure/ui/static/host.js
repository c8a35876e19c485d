/** What Airflow's page provides: its React, its router, its components. Nothing is bundled and nothing is fetched. */
import { visible } from "./format.js";

export const { React, ReactRouterDOM, ChakraUI } = globalThis;

const SPOKEN = ["title", "aria-label"];

/**
 * Create an element. Every text in it, and every text that a screen reader or a tooltip takes from it, has its control
 * and direction characters escaped: keys, labels and errors come from buckets and servers that anyone may write to.
 */
export function h(type, props, ...children) {
  const unsafe = props && SPOKEN.filter((name) => typeof props[name] === "string");
  const safe = unsafe?.length ? { ...props, ...Object.fromEntries(unsafe.map((name) => [name, visible(props[name])])) } : props;
  return React.createElement(type, safe, ...children.map((child) => (typeof child === "string" ? visible(child) : child)));
}

/** The colors of Airflow's own theme, for drawings. */
export const color = (token) => `var(--chakra-colors-${token.replace(".", "-")})`;

/** Our operators by their names in task instances. */
export const OPERATORS = {
  S3ToAzurePlanOperator: "plan",
  S3ToAzureBatchesOperator: "batches",
  S3ToAzureCopyBatchOperator: "copy",
  S3ToAzureApproveRestoreOperator: "approve",
  S3ToAzureApproveDeleteOperator: "approve",
  S3ToAzureDeleteOperator: "delete",
  S3ToAzureReportOperator: "report",
  S3ToAzureBlobStreamOperator: "object",
  S3ToAzureAuditOperator: "audit",
  S3ToAzurePreflightOperator: "preflight",
};
