// How a cell is coloured: by its state, by how many rows it has, or by how old it is.

import { h } from "./elements.js";
import { moment, number, shortNumber } from "./format.js";
import { inWords } from "./states.js";

export const WAYS = [
  ["state", "state"],
  ["rows", "rows"],
  ["age", "age"],
];
const HOUR = 3_600_000;
const AGES = [
  ["within a day", 24 * HOUR],
  ["a week", 7 * 24 * HOUR],
  ["a month", 31 * 24 * HOUR],
  ["a year", 366 * 24 * HOUR],
  ["older", Infinity],
];
const SHADES = 5;

/** What turns a cell into its class: a scale is made once for all cells that are shown. */
export function makeScale(way, cells, now = Date.now()) {
  if (way === "rows") return rowScale(cells);
  if (way === "age") {
    const shade = (cell) =>
      cell.changed_at ? AGES.findIndex(([, limit]) => now - new Date(cell.changed_at) <= limit) : null;
    return { way, shade, steps: AGES.map(([name]) => name) };
  }
  return { way: "state", shade: () => null, steps: [] };
}

/** Equal steps up to the largest number, so that a day with half of its rows is seen. */
function rowScale(cells) {
  const most = cells.reduce((top, cell) => Math.max(top, cell?.rows ?? 0), 0);
  const step = Math.max(1, Math.ceil(most / SHADES));
  const shade = (cell) => (cell.rows > 0 ? SHADES - Math.min(SHADES, Math.ceil(cell.rows / step)) : null);
  const steps = [];
  for (let number = SHADES; number >= 1; number -= 1) steps.push(`up to ${shortNumber(number * step)}`);
  return { way: "rows", shade, steps };
}

/** The classes of a cell; its state stays readable by its letter and frame however it is coloured. */
export function classOf(cell, scale) {
  const shade = scale.shade(cell);
  const late = cell.is_late ? " rl-late" : "";
  return shade === null ? `rl-cell rl-${cell.state}${late}` : `rl-cell rl-shade-${shade} rl-is-${cell.state}${late}`;
}

/** Everything a cell says, in words. */
export function describe(name, cell) {
  const parts = [inWords(cell)];
  if (cell.is_late) parts.push("late");
  if (cell.rows !== null && cell.rows !== undefined && cell.changed_at)
    parts.push(`${number(cell.rows)} rows`, `changed ${moment(cell.changed_at).slice(0, 16)}`);
  return `${name}: ${parts.join(", ")}`;
}

/** What the shades mean. */
export const ScaleLegend = ({ scale }) =>
  scale.steps.length > 0 &&
  h(
    "ul",
    { className: "rl-legend", "aria-label": `Shades by ${scale.way}` },
    scale.steps.map((step, shade) =>
      h("li", { key: step }, h("span", { className: `rl-cell rl-shade-${shade}`, "aria-hidden": true }), ` ${step}`),
    ),
  );
