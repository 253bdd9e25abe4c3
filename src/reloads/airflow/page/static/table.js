// One table: what it is, its days year under year, one day in detail, and the form that asks for days.

import { AskPanel } from "./ask.js";
import { Years } from "./years.js";
import {
  Button,
  Choice,
  Facts,
  Heading,
  Loading,
  Note,
  Section,
  Tag,
  Tick,
  h,
  joined,
  useMemo,
  useRef,
} from "./elements.js";
import { useTables } from "./list.js";
import { Trouble } from "./live.js";
import { When, bytes, count, number } from "./format.js";
import { AirflowLink, PageLink, TableLink, usePlace } from "./place.js";
import { usePicks } from "./picks.js";
import { Legend } from "./states.js";
import { WAYS } from "./colour.js";

const HELP =
  "Click a day, or drag over some; Shift and Ctrl add. By keyboard: arrows move, Space picks, " +
  "Shift with arrows extends, Enter shows, Escape clears.";

export function TableView({ name, level = 1, isTab = false }) {
  const { data, error } = useTables();
  const table = data?.tables.find((one) => one.name === name);
  const broken = data?.broken.find((one) => one.name === name);
  if (table)
    return h(
      "div",
      { className: "rl-stack" },
      h(Trouble, { error }),
      h(OneTable, { key: name, table, level, isTab, overview: data }),
    );
  return h(
    "div",
    { className: "rl-stack" },
    h(Heading, { level }, name),
    h(Trouble, { error }),
    broken && h(Note, { status: "error", title: "This table is broken" }, broken.sentence),
    data &&
      !broken &&
      h(Note, { status: "warning" }, `There is no table "${name}" that you may see; look at the list of tables.`),
    !data && !error && h(Loading, { what: name }),
  );
}

function OneTable({ table, level, isTab, overview }) {
  const { params, go } = usePlace();
  const day = params.get("day");
  const panel = useRef(null);
  const { picks, choose, handlers } = usePicks({
    firstDay: table.first_day,
    onShow: (shown) => go({ day: shown }, { replace: true }),
  });
  const way = params.get("colour") ?? "state";
  const showsKeys = params.get("keys") === "rows" && table.keys.length > 0;
  const readers = useMemo(() => overview.tables.filter((other) => table.name in other.inputs), [overview, table.name]);
  return h(
    "article",
    { className: "rl-stack" },
    h(Top, { table, level, isTab, readers }),
    h(
      "div",
      { className: "rl-columns" },
      h(
        Section,
        { title: "Days", level: level + 1, className: "rl-days" },
        h(Legend, { counts: table.counts }),
        h(
          "div",
          { className: "rl-tools" },
          h(Choice, {
            label: "Colour by",
            className: "rl-inline",
            value: way,
            options: WAYS,
            onChange: (chosen) => go({ colour: chosen === "state" ? null : chosen }, { replace: true }),
          }),
          table.keys.length > 0 &&
            h(Tick, {
              label: `${table.keys.join(" and ")} as rows`,
              checked: showsKeys,
              onChange: (isOn) => go({ keys: isOn ? "rows" : null }, { replace: true }),
            }),
        ),
        h("p", { className: "rl-help" }, HELP),
        h(Years, {
          table,
          today: overview.today,
          level: level + 2,
          way,
          showsKeys,
          choose,
          marks: { picks, shown: day, handlers },
        }),
      ),
      h("div", { className: "rl-side", ref: panel }, h(AskPanel, { table, picks, choose, level: level + 1 })),
    ),
    picks.size > 0 && h(JumpToPlan, { picks, panel }),
  );
}

/** On a narrow screen the plan is out of sight; this stays at the bottom and leads there. */
const JumpToPlan = ({ picks, panel }) =>
  h(
    "div",
    { className: "rl-jump" },
    h("span", null, `${count(picks.size, "day")} picked`),
    h(Button, { onClick: () => panel.current.querySelector("input, button").focus() }, "To the plan"),
  );

function Top({ table, level, isTab, readers }) {
  const requests = { view: "requests", table: table.name };
  return h(
    "header",
    { className: "rl-stack" },
    h(
      "div",
      { className: "rl-title" },
      h(Heading, { level }, table.name),
      table.is_paused && h(Tag, { colour: "orange" }, "paused"),
      table.daily && h(Tag, null, "daily"),
      isTab
        ? h(PageLink, { to: { table: table.name } }, "on the Warehouse page")
        : h(AirflowLink, { path: `/dags/${table.dag}` }, `DAG ${table.dag}`),
    ),
    table.text && h("p", { className: "rl-words" }, table.text),
    table.isUnknown && h(Note, { status: "info" }, "Its days are being looked at; the numbers follow."),
    table.is_paused &&
      h(
        Note,
        { status: "warning" },
        `${table.dag} is paused, so requests wait; switch its DAG on to have them served.`,
      ),
    h(Facts, {
      pairs: [
        ["Published", count(table.published_days, "day")],
        ["From – to", table.first_published && `${table.first_published} – ${table.last_published}`],
        ["Gaps", number(table.gaps)],
        ["Rows", number(table.rows)],
        ["Size", bytes(table.bytes)],
        ["Last change", h(When, { time: table.last_change })],
        ["Keys", table.keys.join(", ")],
        ["Reads", namesOf(table)],
        ["Read by", readers.length > 0 && joined(readers.map((reader) => h(TableLink, { name: reader.name })))],
        [
          "Requests",
          h(PageLink, { to: requests }, `${number(table.open_requests)} open, ${number(table.failed_requests)} failed`),
        ],
      ].filter(([, value]) => value !== false),
    }),
  );
}

function namesOf(table) {
  const inputs = Object.entries(table.inputs).map(([name, days]) =>
    h("span", null, h(TableLink, { name }), days > 1 ? ` (${days} days)` : ""),
  );
  const parts = [...inputs, ...table.sources.map((source) => `files ${source}`)];
  return parts.length > 0 && joined(parts);
}
