// Undoing a request: first what it would put back, then the button that does it.

import { Loading, Note, Outcome, Primary, Section, Tick, h, useState } from "./elements.js";
import { count, number } from "./format.js";
import { Trouble, refreshAll, useLive } from "./live.js";
import { RequestLink } from "./place.js";
import { pathOf, post } from "./api.js";

const SHOWN = 50;

export function Undo({ request }) {
  const [force, setForce] = useState(false);
  const [said, setSaid] = useState(null);
  const { data, error } = useLive(said ? null : pathOf(["requests", request.id, "undo"], { force }));

  const undo = async () => {
    try {
      const { requests, kept } = await post(pathOf(["requests", request.id, "undo"]), { force });
      setSaid({ requests, kept });
    } catch (failure) {
      setSaid({ failure });
    }
    refreshAll();
  };

  return h(
    Section,
    { title: "Undo", level: 3, className: "rl-panel" },
    said ? h(Said, { said }) : h(Trouble, { error }),
    !said && !data && !error && h(Loading, { what: "what it would put back" }),
    !said && data && h(Preview, { data }),
    !said &&
      (data?.later.length > 0 || force) &&
      h(Tick, { label: "Put it back all the same, and lose those later rewrites", checked: force, onChange: setForce }),
    !said &&
      data?.back.length > 0 &&
      h(
        "div",
        { className: "rl-buttons" },
        h(Primary, { colorPalette: "red", onClick: undo }, `Put back ${count(data.back.length, "partition")}`),
      ),
  );
}

function Preview({ data }) {
  return h(
    "div",
    { className: "rl-stack" },
    data.sentence && h(Note, { status: "info" }, data.sentence),
    data.back.length > 0 && h(Back, { rows: data.back.slice(0, SHOWN) }),
    data.back.length > SHOWN && h("p", { className: "rl-muted" }, `and ${number(data.back.length - SHOWN)} more`),
    data.later.length > 0 &&
      h(
        Note,
        { status: "warning", title: "Rewritten again since then" },
        h(
          "ul",
          { className: "rl-list" },
          data.later
            .slice(0, SHOWN)
            .map((row) =>
              h(
                "li",
                { key: `${row.table} ${row.partition}` },
                `${row.table} ${row.partition}, by `,
                h(RequestLink, { id: row.request }),
              ),
            ),
        ),
      ),
    data.expired.length > 0 && h(Note, { status: "warning", title: "No longer kept" }, data.expired.join(", ")),
  );
}

const TITLES = ["Table", "Partition", "Rows now", "Rows after"];

const Back = ({ rows }) =>
  h(
    "div",
    { className: "rl-scroll", tabIndex: 0, role: "region", "aria-label": "What is put back" },
    h(
      "table",
      { className: "rl-table rl-plain" },
      h("caption", null, "What is put back"),
      h(
        "thead",
        null,
        h(
          "tr",
          null,
          TITLES.map((title) =>
            h("th", { key: title, scope: "col", className: title.startsWith("Rows") ? "rl-number" : "" }, title),
          ),
        ),
      ),
      h(
        "tbody",
        null,
        rows.map((row) => h(Line, { key: `${row.table} ${row.partition}`, row })),
      ),
    ),
  );

const Line = ({ row }) =>
  h(
    "tr",
    null,
    h("td", null, row.table),
    h("td", null, h("code", null, row.partition)),
    h("td", { className: "rl-number" }, number(row.rows_now)),
    h("td", { className: "rl-number" }, row.rows_after === null ? "removed" : number(row.rows_after)),
  );

function Said({ said }) {
  if (said.failure) return h(Outcome, { status: "error" }, said.failure.message);
  return h(
    Outcome,
    { status: "success", title: "Put back" },
    said.requests.map((request) =>
      h("p", { key: request.id }, `${request.table}: `, h(RequestLink, { id: request.id })),
    ),
    said.kept.map((sentence) => h("p", { key: sentence, className: "rl-words" }, sentence)),
  );
}
