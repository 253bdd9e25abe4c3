// How tables read one another, drawn from left to right: who reads nobody stands first.

import { h, memo, useMemo } from "./elements.js";
import { PAGE } from "./place.js";
import { STATES, WORDS } from "./states.js";

const { Link } = globalThis.ReactRouterDOM;
const WIDTH = 168;
const HEIGHT = 30;
const ACROSS = 56;
const DOWN = 14;
const LONGEST_NAME = 22;

/** Column and row of each table: one column right of the last that it reads, near to those it reads. */
export function layOut(tables) {
  const byName = new Map(tables.map((table) => [table.name, table]));
  const depths = new Map();
  const depthOf = (name, path = []) => {
    if (depths.has(name)) return depths.get(name);
    const inputs = Object.keys(byName.get(name).inputs).filter((input) => byName.has(input) && !path.includes(input));
    const depth = inputs.reduce((most, input) => Math.max(most, depthOf(input, [...path, name]) + 1), 0);
    depths.set(name, depth);
    return depth;
  };
  const columns = [];
  for (const table of tables) (columns[depthOf(table.name)] ??= []).push(table);
  const rows = new Map();
  for (const column of columns) {
    const wish = new Map(column.map((table, place) => [table, meanRow(table, rows) ?? place]));
    column.sort((one, other) => wish.get(one) - wish.get(other));
    column.forEach((table, row) => rows.set(table.name, row));
  }
  return tables.map((table) => ({ table, column: depths.get(table.name), row: rows.get(table.name) }));
}

function meanRow(table, rows) {
  const known = Object.keys(table.inputs)
    .map((input) => rows.get(input))
    .filter((row) => row !== undefined);
  return known.length ? known.reduce((sum, row) => sum + row, 0) / known.length : null;
}

export const Lineage = memo(({ tables }) => {
  const nodes = useMemo(() => layOut(tables), [tables]);
  const places = new Map(
    nodes.map(({ table, column, row }) => [
      table.name,
      { x: column * (WIDTH + ACROSS) + 2, y: row * (HEIGHT + DOWN) + 2 },
    ]),
  );
  const width = Math.max(...[...places.values()].map(({ x }) => x)) + WIDTH + 4;
  const height = Math.max(...[...places.values()].map(({ y }) => y)) + HEIGHT + 4;
  const edges = nodes.flatMap(({ table }) =>
    Object.keys(table.inputs)
      .filter((input) => places.has(input))
      .map((input) => ({ key: `${input} ${table.name}`, from: places.get(input), to: places.get(table.name) })),
  );
  return h(
    "div",
    { className: "rl-scroll", tabIndex: 0, role: "region", "aria-label": "Graph of the tables" },
    h(
      "svg",
      {
        className: "rl-graph",
        width,
        height,
        viewBox: `0 0 ${width} ${height}`,
        role: "group",
        "aria-label": "Each table with those that it reads",
      },
      edges.map((edge) => h(Edge, edge)),
      nodes.map(({ table }) => h(Node, { key: table.name, table, place: places.get(table.name) })),
    ),
  );
});

function Edge({ from, to }) {
  const [x1, y1, x2, y2] = [from.x + WIDTH, from.y + HEIGHT / 2, to.x, to.y + HEIGHT / 2];
  const middle = (x1 + x2) / 2;
  return h("path", { className: "rl-edge", d: `M ${x1} ${y1} C ${middle} ${y1}, ${middle} ${y2}, ${x2} ${y2}` });
}

function Node({ table, place }) {
  const inputs = Object.keys(table.inputs);
  const reads = inputs.length ? `reads ${inputs.join(", ")}` : "reads no table";
  const states = STATES.filter((state) => table.counts[state] > 0);
  const words = states.map((state) => `${table.counts[state]} ${WORDS[state]}`).join(", ");
  const name = table.name.length > LONGEST_NAME ? `${table.name.slice(0, LONGEST_NAME - 1)}…` : table.name;
  return h(
    Link,
    {
      className: "rl-node",
      to: { pathname: PAGE, search: `?${new URLSearchParams({ table: table.name })}` },
      "aria-label": `${table.name}, ${reads}`,
    },
    h("title", null, `${table.name}: ${reads}; ${words || "no days"}`),
    h("rect", { x: place.x, y: place.y, width: WIDTH, height: HEIGHT, rx: 4 }),
    h(Shares, { counts: table.counts, states, place }),
    h("text", { x: place.x + 10, y: place.y + 18 }, name),
  );
}

/** The state bar of the table along the lower edge of its box. */
function Shares({ counts, states, place }) {
  const all = states.reduce((sum, state) => sum + counts[state], 0);
  let x = place.x + 1;
  return states.map((state) => {
    const width = ((WIDTH - 2) * counts[state]) / all;
    const share = h("rect", {
      key: state,
      className: `rl-fill-${state}`,
      x,
      y: place.y + HEIGHT - 5,
      width,
      height: 4,
    });
    x += width;
    return share;
  });
}
