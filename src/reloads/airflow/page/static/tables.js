// All tables: a line each, how they read one another, and those that are broken.

import { Choice, Loading, Note, Section, Tag, TextField, h, useState } from "./elements.js";
import { When, bytes, count, number } from "./format.js";
import { Lineage } from "./lineage.js";
import { useTables } from "./list.js";
import { Trouble } from "./live.js";
import { PageLink, TableLink } from "./place.js";
import { StateBar } from "./states.js";

const failedDays = ({ counts }) => (counts.failed ?? 0) + (counts.refused ?? 0);

// Title, the value that is sorted by, and how it is shown; `isBad` marks numbers that want somebody's eye.
const COLUMNS = [
  ["Published", (table) => table.published_days],
  ["Gaps", (table) => table.gaps, { isBad: true }],
  ["Stale", (table) => table.counts.stale ?? 0, { isBad: true }],
  ["Waiting", (table) => table.counts.waiting ?? 0, { isBad: true }],
  ["Failed", failedDays, { isBad: true }],
  ["Rows", (table) => table.rows],
  ["Size", (table) => table.bytes, { show: bytes }],
  ["Last change", (table) => table.last_change ?? "", { show: (time) => h(When, { time }) }],
];

const needsAnEye = (table) =>
  table.gaps + (table.counts.stale ?? 0) + (table.counts.waiting ?? 0) + failedDays(table) + table.failed_requests >
    0 || table.is_paused;

export function TablesView() {
  const { data, error } = useTables();
  return h(
    "div",
    { className: "rl-stack" },
    h(Trouble, { error }),
    !data && !error && h(Loading, { what: "tables" }),
    data &&
      data.broken.map((table) =>
        h(Note, { key: table.name, status: "error", title: `${table.name} is broken` }, table.sentence),
      ),
    data && h(Overview, { data }),
  );
}

function Overview({ data }) {
  const [filter, setFilter] = useState("");
  const [which, setWhich] = useState("all");
  const [order, setOrder] = useState({ column: null, isDown: true });
  const word = filter.trim().toLowerCase();
  const tables = data.tables.filter(
    (table) => table.name.toLowerCase().includes(word) && (which === "all" || needsAnEye(table)),
  );
  return h(
    "div",
    { className: "rl-stack" },
    h("p", { className: "rl-sum" }, sum(data.tables)),
    h(
      Section,
      { title: "Tables" },
      h(
        "div",
        { className: "rl-tools" },
        h(TextField, { label: "Name", value: filter, onChange: setFilter, type: "search" }),
        h(Choice, {
          label: "Show",
          value: which,
          onChange: setWhich,
          options: [
            ["all", "all tables"],
            ["bad", "those to look at"],
          ],
        }),
      ),
      h(List, { tables: sorted(tables, order), order, setOrder }),
      tables.length === 0 &&
        h(
          "p",
          { className: "rl-muted" },
          data.tables.length ? "No table is like that." : "There is no table that you may see.",
        ),
    ),
    data.tables.length > 0 && h(Section, { title: "Who reads whom" }, h(Lineage, { tables: data.tables })),
  );
}

function sum(tables) {
  const total = (value) => tables.reduce((all, table) => all + value(table), 0);
  const parts = [
    count(tables.length, "table"),
    `${count(
      total((table) => table.published_days),
      "day",
    )} published`,
  ];
  for (const [title, value, { isBad } = {}] of COLUMNS)
    if (isBad && total(value)) parts.push(`${number(total(value))} ${title.toLowerCase()}`);
  parts.push(`${number(total((table) => table.rows))} rows`, bytes(total((table) => table.bytes)));
  parts.push(
    `${count(
      total((table) => table.open_requests),
      "open request",
    )}`,
  );
  const unknown = tables.filter((table) => table.isUnknown).length;
  if (unknown) parts.push(`${count(unknown, "table")} being looked at`);
  return parts.join(" · ");
}

function sorted(tables, { column, isDown }) {
  const value = COLUMNS[column]?.[1];
  if (!value) return tables;
  const sign = isDown ? -1 : 1;
  const compare = (one, other) => (value(one) < value(other) ? -1 : value(one) > value(other) ? 1 : 0);
  return [...tables].sort((one, other) => sign * compare(one, other));
}

const List = ({ tables, order, setOrder }) =>
  h(
    "div",
    { className: "rl-scroll", tabIndex: 0, role: "region", "aria-label": "List of tables" },
    h(
      "table",
      { className: "rl-table" },
      h(
        "thead",
        null,
        h(
          "tr",
          null,
          h("th", { scope: "col" }, "Table"),
          h("th", { scope: "col" }, "Days"),
          COLUMNS.map(([title], column) => h(Head, { key: title, title, column, order, setOrder })),
          h("th", { scope: "col" }, "Requests"),
        ),
      ),
      h(
        "tbody",
        null,
        tables.map((table) => h(Line, { key: table.name, table })),
      ),
    ),
  );

function Head({ title, column, order, setOrder }) {
  const isChosen = order.column === column;
  const direction = order.isDown ? "descending" : "ascending";
  return h(
    "th",
    { scope: "col", className: "rl-number", "aria-sort": isChosen ? direction : undefined },
    h(
      "button",
      {
        type: "button",
        className: "rl-sort",
        onClick: () => setOrder({ column, isDown: isChosen ? !order.isDown : true }),
      },
      title,
      h("span", { "aria-hidden": true }, isChosen ? (order.isDown ? " ↓" : " ↑") : ""),
    ),
  );
}

const Line = ({ table }) =>
  h(
    "tr",
    null,
    h(
      "th",
      { scope: "row" },
      h(TableLink, { name: table.name }),
      table.is_paused && h(Tag, { colour: "orange" }, "paused"),
      table.text && h("div", { className: "rl-muted rl-line" }, table.text),
    ),
    h(
      "td",
      { className: "rl-bar-cell" },
      table.isUnknown ? h("span", { className: "rl-muted" }, "being looked at") : h(StateBar, { counts: table.counts }),
    ),
    COLUMNS.map(([title, value, { isBad = false, show = number } = {}]) =>
      h(
        "td",
        { key: title, className: "rl-number", "data-title": title },
        table.isUnknown ? "" : figure(value(table), isBad, show),
      ),
    ),
    h("td", { "data-title": "Requests" }, h(Requests, { table })),
  );

/** Nothing of something stays in the background. */
function figure(value, isBad, show) {
  if (!value) return h("span", { className: "rl-muted" }, show(value));
  return isBad ? h("b", { className: "rl-bad" }, show(value)) : show(value);
}

function Requests({ table }) {
  if (table.isUnknown) return null;
  if (!table.open_requests && !table.failed_requests) return h("span", { className: "rl-muted" }, "none");
  const link = (state, text) => h(PageLink, { to: { view: "requests", table: table.name, state } }, text);
  return h(
    "span",
    null,
    table.open_requests > 0 && link("open", `${number(table.open_requests)} open`),
    table.open_requests > 0 && table.failed_requests > 0 && ", ",
    table.failed_requests > 0 && link("failed", `${number(table.failed_requests)} failed`),
  );
}
