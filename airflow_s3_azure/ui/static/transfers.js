/** What Airflow's UI loads: it takes each component from the global that has its name. */
import { DagTab, HomeRow, NavPage } from "./history_views.js";
import { RunTab } from "./run_tab.js";

Object.assign(globalThis, {
  Transfer: RunTab,
  Transfers: DagTab,
  "S3 → Azure": NavPage,
  "S3 → Azure, last night": HomeRow,
});
