// The plan of a request before it is asked: what is rewritten and why, what that replaces, what follows downstream.

import { Heading, Loading, Note, h, useEffect, useState } from "./elements.js";
import { bytes, count, number } from "./format.js";
import { TableLink } from "./place.js";
import { post } from "./api.js";

const PAUSE_MS = 300;

/** The plan of what is wished for, some moments after the last change; nothing without a wish. */
export function usePlan(wish) {
  const [state, setState] = useState({ plan: null, error: null });
  const body = wish && JSON.stringify(wish);
  useEffect(() => {
    setState((old) => ({ plan: null, last: old.plan ?? old.last, error: null }));
    if (!body) return undefined;
    const controller = new AbortController();
    const timer = setTimeout(async () => {
      try {
        const plan = await post("/plan", JSON.parse(body), controller.signal);
        if (!controller.signal.aborted) setState({ plan, error: null });
      } catch (error) {
        if (!controller.signal.aborted) setState({ plan: null, error });
      }
    }, PAUSE_MS);
    return () => {
      clearTimeout(timer);
      controller.abort();
    };
  }, [body]);
  return state;
}

export function Plan({ plan, last, error, level }) {
  if (error) return h(Note, { status: "error", title: "This cannot be asked" }, error.message);
  const shown = plan ?? last;
  return h(
    "div",
    { className: `rl-plan${plan ? "" : " rl-pending"}`, "aria-busy": !plan },
    h(Heading, { level }, "Plan"),
    h("p", { role: "status", className: plan ? "" : "rl-unseen" }, plan ? totals(plan) : "planning"),
    !shown && h(Loading, { what: "the plan" }),
    shown &&
      h(
        "ul",
        { className: "rl-list" },
        shown.tables.map((table) => h(TablePlan, { key: table.table, table })),
      ),
  );
}

function totals({ tables }) {
  const [own, ...downstream] = tables;
  if (!own || own.planned_days === 0) return "Nothing would be rewritten.";
  const rows = tables.reduce((sum, table) => sum + (table.rows ?? 0), 0);
  const size = tables.reduce((sum, table) => sum + (table.bytes ?? 0), 0);
  const replaced = rows ? `replaces ${count(rows, "row")} (${bytes(size)})` : "replaces nothing";
  const follow = downstream.filter((table) => table.planned_days > 0).length;
  const followed = follow ? `; ${count(follow, "downstream table follows", "downstream tables follow")}` : "";
  return `${count(own.planned_days, "day")}, ${count(own.partitions, "partition")}; ${replaced}${followed}.`;
}

const TablePlan = ({ table }) =>
  h(
    "li",
    null,
    table.is_downstream && "then ",
    h(TableLink, { name: table.table }),
    `: ${count(table.planned_days, "day")}, ${count(table.partitions, "partition")}, ${number(table.rows)} rows now`,
    h(
      "ul",
      { className: "rl-list" },
      table.parts.map((part, place) =>
        h(
          "li",
          { key: place, className: part.is_planned ? "" : "rl-muted" },
          h("span", { className: "rl-ranges" }, part.days.join(", ")),
          part.is_planned ? ` – ${part.why}` : ` – stays: ${part.why}`,
        ),
      ),
    ),
  );
