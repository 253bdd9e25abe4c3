// One day of a table: what is published, by whom and from what, why it is stale, what went wrong, its versions.

import { weekdayOf, WEEKDAYS } from "./days.js";
import { Facts, Heading, Loading, Note, Section, Tag, h, joined } from "./elements.js";
import { When, bytes, count, number } from "./format.js";
import { Trouble, useLive } from "./live.js";
import { AirflowLink, RequestLink, TableLink } from "./place.js";
import { StateWord, isMoving } from "./states.js";
import { pathOf } from "./api.js";

const isBusy = (data) => isMoving(data.state);

export function DayPanel({ table, day, level }) {
  const { data, error } = useLive(day ? pathOf(["tables", table.name, "days", day]) : null, isBusy);
  if (!day) return null;
  return h(
    Section,
    { title: `${WEEKDAYS[weekdayOf(day)]} ${day}`, level, className: "rl-panel" },
    h(Trouble, { error }),
    !data && !error && h(Loading, { what: day }),
    data && h(OneDay, { data, level: level + 1 }),
  );
}

const requestLinks = (ids) => ids.length > 0 && joined(ids.map((id) => h(RequestLink, { id })));

function OneDay({ data, level }) {
  const { partitions, versions, failure } = data;
  return h(
    "div",
    { className: "rl-stack" },
    h(
      "p",
      null,
      h(StateWord, { state: data.state, why: failure ? null : data.why }),
      data.is_late && h(Tag, { colour: "orange" }, "late"),
    ),
    failure &&
      h(
        Note,
        { status: "error", title: "The last attempt failed" },
        failure.error,
        " (",
        h(RequestLink, { id: failure.request }),
        ", ",
        h(When, { time: failure.at }),
        ")",
      ),
    data.open_requests.length > 0 && h("p", null, "Asked for by ", requestLinks(data.open_requests)),
    partitions.length > 1 &&
      h(
        "p",
        { className: "rl-muted" },
        `${count(partitions.length, "partition")}, ${number(data.rows)} rows, ${bytes(data.bytes)}`,
      ),
    partitions.map((partition) =>
      h(Partition, { key: partition.name, partition, isOnly: partitions.length === 1, level }),
    ),
    versions.length > 0 && h(Versions, { versions, level }),
  );
}

function Partition({ partition, isOnly, level }) {
  const keys = Object.entries(partition.keys);
  const facts = h(Facts, {
    pairs: [
      ["Rows", number(partition.rows)],
      ["Size", bytes(partition.bytes)],
      ["Changed", h(When, { time: partition.changed_at })],
      [
        "Checked",
        partition.made_at && partition.made_at !== partition.changed_at && h(When, { time: partition.made_at }),
      ],
      ["Requests", requestLinks(partition.requests)],
      ["Run", partition.run && h(AirflowLink, { path: partition.run_path }, partition.run)],
      ["Log", partition.log_path && h(AirflowLink, { path: partition.log_path }, "log of the task")],
      ["From", fromWhat(partition)],
      ["Parameters", Object.keys(partition.parameters).length > 0 && JSON.stringify(partition.parameters)],
    ].map(([name, value]) => [name, value === false ? null : value]),
  });
  if (isOnly) return facts;
  const title = keys.map(([name, value]) => `${name} = ${value}`).join(", ") || partition.name;
  return h(
    "details",
    { className: "rl-partition" },
    h(
      "summary",
      null,
      h("b", null, title),
      " ",
      h(StateWord, { state: partition.state, why: partition.why }),
      ` ${number(partition.rows)} rows`,
    ),
    facts,
  );
}

function fromWhat({ inputs, files }) {
  const tables = Object.entries(inputs).map(([name, commit]) =>
    h("span", null, h(TableLink, { name }), ` (commit ${commit})`),
  );
  const paths = files.map((file) =>
    h("span", null, h("code", null, file.path), ` (${bytes(file.size)}, `, h(When, { time: file.changed_at }), ")"),
  );
  const parts = [...tables, ...paths];
  return parts.length > 0 && joined(parts);
}

const Versions = ({ versions, level }) =>
  h(
    "div",
    null,
    h(Heading, { level }, "Versions"),
    h(
      "ul",
      { className: "rl-list" },
      [...versions]
        .reverse()
        .map((version, place) =>
          h(
            "li",
            { key: place },
            h("code", null, version.partition),
            `: ${version.rows === null ? "nothing there" : count(version.rows, "row")}`,
            version.requests.length > 0 && h("span", null, ", by ", requestLinks(version.requests)),
            version.replaced_at ? h("span", null, ", replaced ", h(When, { time: version.replaced_at })) : ", current",
          ),
        ),
    ),
  );
