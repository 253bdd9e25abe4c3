// One request: how far it is, its days and why, checks, failures, what followed; cancel, retry, undo.

import { Button, Facts, Heading, Loading, Note, Outcome, Section, h, joined, useState } from "./elements.js";
import { When, bytes, seconds } from "./format.js";
import { Trouble, refreshAll, useLive } from "./live.js";
import { AirflowLink, PageLink, RequestLink, TableLink } from "./place.js";
import { rowsOf, shortRanges } from "./requests.js";
import { KindTag, Standing, isOpen, outcome } from "./standing.js";
import { Undo } from "./undo.js";
import { pathOf, post } from "./api.js";

const isBusy = (data) => data.state === "dropped" || isOpen(data) || data.children?.some(isOpen);

export function RequestView({ id }) {
  const { data, error } = useLive(pathOf(["requests", id]), isBusy);
  return h(
    "article",
    { className: "rl-stack", "aria-label": `Request ${id}` },
    h("p", null, h(PageLink, { to: { view: "requests" } }, "All requests")),
    h(Heading, { level: 2, className: "rl-words" }, id),
    h(Trouble, { error }),
    !data && !error && h(Loading, { what: id }),
    data &&
      !data.id &&
      h(Note, { status: data.state === "rejected" ? "error" : "info", title: data.state }, data.sentence),
    data?.id && h(OneRequest, { request: data }),
  );
}

function OneRequest({ request }) {
  return h(
    "div",
    { className: "rl-stack" },
    h(Standing, { request, isLive: true }),
    h(Acts, { request }),
    h(Facts, {
      pairs: [
        ["Table", h(TableLink, { name: request.table, day: request.days[0]?.slice(0, 10) })],
        ["Days", request.days.join(", ")],
        ["Only", request.only !== "all" && request.only],
        ["Keys", notEmpty(request.keys)],
        ["Parameters", notEmpty(request.parameters)],
        ["Downstream", request.cascade ? null : "does not follow"],
        ["Reason", request.reason],
        ["Asked by", request.requested_by || request.mode],
        ["File", request.file],
        ["Because of", request.cause && causeOf(request.cause)],
        ["Asked", h(When, { time: request.accepted_at, isExact: true })],
        ["Ended", request.finished_at && h(When, { time: request.finished_at, isExact: true })],
        ["Rows", request.rows !== null && rowsOf(request)],
        ["Size", request.bytes !== null && bytes(request.bytes)],
        ["Took", seconds(request.seconds)],
        ["Runs", request.runs.length > 0 && joined(request.runs.map(({ run, path }) => h(AirflowLink, { path }, run)))],
      ].map(([name, value]) => [name, value === false ? null : value]),
    }),
    h(Days, { request }),
    h(Checks, { checks: request.checks }),
    h(Children, { children_: request.children }),
  );
}

const notEmpty = (values) => Object.keys(values ?? {}).length > 0 && JSON.stringify(values);

const causeOf = ({ table, days, requests }) =>
  h(
    "span",
    null,
    h(TableLink, { name: table }),
    ` changed${days?.length ? ` on ${shortRanges(days)}` : ""}`,
    requests?.length > 0 && h("span", null, " by ", joined(requests.map((id) => h(RequestLink, { id })))),
  );

/** What can be done about it. The sentence of what came of it is read out. */
function Acts({ request }) {
  const [said, setSaid] = useState({ status: "success", text: "" });
  const [isUndoing, setUndoing] = useState(false);
  const act = async (name, tell) => {
    try {
      const answer = await post(pathOf(["requests", request.id, name]));
      setSaid({ status: "success", text: tell(answer) });
    } catch (error) {
      setSaid({ status: "error", text: error.message });
    }
    refreshAll();
  };
  if (!request.may_steer) return h("p", { className: "rl-muted" }, "You may look at this request, but not steer it.");
  return h(
    "div",
    { className: "rl-stack" },
    h(
      "div",
      { className: "rl-buttons", role: "group", "aria-label": "What can be done" },
      isOpen(request) &&
        h(
          Button,
          {
            colorPalette: "red",
            onClick: () => act("cancel", () => "Cancelled: what is published stays, the rest is not rewritten."),
          },
          "Cancel",
        ),
      ["failed", "cancelled"].includes(request.state) &&
        h(Button, { onClick: () => act("retry", ({ files }) => `Asked again as ${files.join(", ")}.`) }, "Retry"),
      request.published.length > 0 &&
        h(Button, { "aria-expanded": isUndoing, onClick: () => setUndoing(!isUndoing) }, "Undo …"),
    ),
    said.text && h(Outcome, { key: said.text, status: said.status }, said.text),
    isUndoing && h(Undo, { request }),
  );
}

const LISTS = [
  ["published", "Published"],
  ["unchanged", "Unchanged"],
  ["cancelled", "Cancelled"],
];
const REASONED = [
  ["failed", "Failed", "error"],
  ["waiting", "Waiting", "why"],
  ["skipped", "Skipped", "why"],
  ["planned", "Planned", "why"],
];

function Days({ request }) {
  const plain = LISTS.filter(([name]) => request[name]?.length > 0);
  const reasoned = REASONED.filter(([name]) => request[name]?.length > 0);
  if (!plain.length && !reasoned.length) return null;
  return h(
    Section,
    { title: "Days", level: 3 },
    reasoned.map(([name, title, why]) =>
      h(
        "div",
        { key: name },
        h(Heading, { level: 4 }, title),
        h(
          "ul",
          { className: "rl-list" },
          request[name].map((part, place) =>
            h("li", { key: place, className: name === "failed" ? "rl-fault rl-words" : "rl-words" }, textOf(part, why)),
          ),
        ),
      ),
    ),
    h(Facts, { pairs: plain.map(([name, title]) => [title, request[name].join(", ")]) }),
  );
}

const textOf = (part, why) =>
  typeof part === "string" ? part : `${(part.days ?? []).join(", ")}${part[why] ? `: ${part[why]}` : ""}`;

const Checks = ({ checks }) =>
  checks?.length > 0 &&
  h(
    Section,
    { title: "Checks", level: 3 },
    h(
      "ul",
      { className: "rl-list" },
      checks.map((check, place) =>
        h(
          "li",
          { key: place, className: "rl-words" },
          h("b", null, check.check),
          ` (${check.severity}): ${check.sentence}`,
          check.days?.length > 0 && h("span", { className: "rl-muted" }, ` – ${shortRanges(check.days)}`),
        ),
      ),
    ),
  );

const Children = ({ children_: requests }) =>
  requests?.length > 0 &&
  h(
    Section,
    { title: "Downstream", level: 3 },
    h(
      "ul",
      { className: "rl-list" },
      requests.map((child) =>
        h(
          "li",
          { key: child.id },
          h(TableLink, { name: child.table }),
          " ",
          h(RequestLink, { id: child.id }),
          " ",
          h(KindTag, { standing: child.standing }),
          ` ${outcome(child)}`,
        ),
      ),
    ),
  );
