// All requests, newest first, by table, state and person; and files that are waiting or were rejected.

import { Button, Choice, Loading, Section, h, joined, useMemo } from "./elements.js";
import { When, count, number } from "./format.js";
import { useTables } from "./list.js";
import { Trouble, useLive } from "./live.js";
import { RequestLink, TableLink, usePlace } from "./place.js";
import { Standing, isOpen } from "./standing.js";
import { pathOf } from "./api.js";

const STATES = [
  ["", "any"],
  ["open", "open"],
  ["done", "done"],
  ["failed", "failed"],
  ["cancelled", "cancelled"],
  ["rejected", "rejected"],
];
const LIMIT = 100;
const SHOWN_RANGES = 4;

// A new request may come at any moment, so this list is always asked for as if something moved.
const always = () => true;

export function RequestsView() {
  const { params, go } = usePlace();
  const chosen = {
    table: params.get("table") ?? "",
    state: params.get("state") ?? "",
    person: params.get("person") ?? "",
  };
  const { data, error } = useLive(
    pathOf(["requests"], { ...chosen, before: params.get("before"), limit: LIMIT }),
    always,
  );
  const tables = useTables().data?.tables;
  const names = useMemo(() => tables?.map((table) => table.name) ?? [], [tables]);
  const choose = (name) => (value) => go({ [name]: value, before: null }, { replace: true });
  return h(
    "div",
    { className: "rl-stack" },
    h(
      "div",
      { className: "rl-tools", role: "search", "aria-label": "Which requests" },
      h(Choice, {
        label: "Table",
        value: chosen.table,
        options: choices(names, chosen.table),
        onChange: choose("table"),
      }),
      h(Choice, { label: "State", value: chosen.state, options: STATES, onChange: choose("state") }),
      h(Choice, {
        label: "Person",
        value: chosen.person,
        options: choices(data?.people ?? [], chosen.person),
        onChange: choose("person"),
      }),
    ),
    h(Trouble, { error }),
    !data && !error && h(Loading, { what: "requests" }),
    data && h(Files, { title: "Files that wait", files: data.waiting_files }),
    data && h(RequestList, { requests: data.requests }),
    data?.more_open > 0 &&
      h("p", { className: "rl-muted" }, `${count(data.more_open, "older open request")} not shown; choose a table.`),
    h(
      "div",
      { className: "rl-buttons" },
      params.get("before") && h(Button, { onClick: () => go({ before: null }) }, "Newest"),
      data?.next && h(Button, { onClick: () => go({ before: data.next }) }, "Older ones"),
    ),
    data && h(Files, { title: "Rejected files", files: data.rejected }),
  );
}

const choices = (names, chosen) => [
  ["", "any"],
  ...new Set(chosen && !names.includes(chosen) ? [chosen, ...names] : names),
];

export const RequestList = ({ requests, title = "Requests", level = 2 }) =>
  h(
    Section,
    { title, level },
    requests.length === 0 && h("p", { className: "rl-muted" }, "No request is like that."),
    h(
      "ul",
      { className: "rl-cards" },
      requests.map((request) => h("li", { key: request.id, className: "rl-card" }, h(Card, { request }))),
    ),
  );

const Card = ({ request }) =>
  h(
    "article",
    { "aria-label": `Request ${request.id}` },
    h(
      "p",
      { className: "rl-title" },
      h(RequestLink, { id: request.id }, h("b", null, request.id)),
      h("span", null, h(TableLink, { name: request.table }), ` ${shortRanges(request.days)}`),
      h(
        "span",
        { className: "rl-muted" },
        isOpen(request)
          ? h("span", null, "asked ", h(When, { time: request.accepted_at }))
          : h("span", null, "ended ", h(When, { time: request.finished_at })),
      ),
    ),
    h(Standing, { request }),
    h(
      "p",
      { className: "rl-muted rl-words" },
      joined(
        [
          `by ${request.requested_by || request.mode}`,
          request.reason && `“${request.reason}”`,
          request.rows !== null && rowsOf(request),
        ].filter(Boolean),
        " · ",
      ),
    ),
  );

export function shortRanges(days) {
  const shown = days.slice(0, SHOWN_RANGES).join(", ");
  return days.length > SHOWN_RANGES ? `${shown} and ${days.length - SHOWN_RANGES} more ranges` : shown;
}

export const rowsOf = ({ rows, rows_before: before }) =>
  before === null || before === undefined || before === rows
    ? `${number(rows)} rows`
    : `${number(before)} → ${number(rows)} rows`;

/** Files that are no requests yet, or will not be, each with its sentence. */
const Files = ({ title, files }) =>
  files.length > 0 &&
  h(
    Section,
    { title },
    h(
      "ul",
      { className: "rl-cards" },
      files.map((file) =>
        h(
          "li",
          { key: `${file.file} ${file.at ?? ""}`, className: "rl-card" },
          h(
            "p",
            { className: "rl-title" },
            h("b", { className: "rl-words" }, file.file),
            file.at && h("span", { className: "rl-muted" }, h(When, { time: file.at })),
          ),
          h("p", { className: "rl-words" }, file.sentence),
        ),
      ),
    ),
  );
