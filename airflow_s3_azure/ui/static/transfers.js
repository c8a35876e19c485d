/** The entry point: Airflow takes each component from the global with its name. */
import { DagTab } from "./dag_tab.js";
import { HomeRow } from "./home_row.js";
import { NavPage } from "./nav_page.js";
import { RunTab } from "./run_tab.js";

Object.assign(globalThis, {
  Transfer: RunTab,
  Transfers: DagTab,
  "S3 → Azure": NavPage,
  "S3 → Azure, last night": HomeRow,
});
