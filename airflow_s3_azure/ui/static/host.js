/** What the page of Airflow lends us: its React, its router, its components. Nothing is bundled and nothing is fetched. */
export const { React, ReactRouterDOM, ChakraUI } = globalThis;
export const h = React.createElement;

/** The colours of Airflow's own theme, for drawings. */
export const colour = (token) => `var(--chakra-colors-${token.replace(".", "-")})`;

/** The names of the operators, as task instances tell them. */
export const OPERATORS = {
  S3ToAzurePlanOperator: "plan",
  S3ToAzureBatchesOperator: "batches",
  S3ToAzureCopyBatchOperator: "copy",
  S3ToAzureApproveDeleteOperator: "approve",
  S3ToAzureDeleteOperator: "delete",
  S3ToAzureReportOperator: "report",
  S3ToAzureBlobStreamOperator: "object",
};
