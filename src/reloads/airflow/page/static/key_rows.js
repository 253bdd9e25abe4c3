// One year of a table with keys: a row for each combination of values, a column for each day.

import { h, memo, useLayoutEffect, useMemo, useRef, useState } from "./elements.js";
import { MONTHS } from "./days.js";
import { classOf, describe } from "./colour.js";
import { LETTERS } from "./states.js";

export const nameOf = (keys) => Object.values(keys).join(" · ");

// Thousands of cells: each is one plain element, and a row is drawn again only if something of it changed.
const KeyRow = memo(({ number, name, cells, days, scale, picks, stop }) => {
  const shown = useMemo(
    () => cells.map((cell, column) => look(cell, days[column].day, name, scale)),
    [cells, days, name, scale],
  );
  return h(
    "div",
    { role: "row", className: "rl-row" },
    h("span", { role: "rowheader", className: "rl-key", title: name }, name),
    shown.map(({ day, className, label, letter }) =>
      h(
        "span",
        {
          key: day,
          role: "gridcell",
          "data-day": day,
          "data-row": number,
          className,
          tabIndex: day === stop ? 0 : -1,
          "aria-selected": picks.has(day),
          "aria-label": label,
        },
        letter,
      ),
    ),
  );
});

/** How a cell looks, and what it says; that there is no partition, too. */
const look = (cell, day, name, scale) =>
  cell
    ? { day, className: classOf(cell, scale), label: describe(`${day}, ${name}`, cell), letter: LETTERS[cell.state] }
    : { day, className: "rl-cell rl-absent", label: `${day}, ${name}: nothing there`, letter: "" };

export const KeyRows = memo(({ days, keyRows, scale, picks, handlers, label }) => {
  const [focused, setFocused] = useState({ day: null, row: "0" });
  const firstRow = keyRows.length ? "0" : null;
  const stopRow = focused.row ?? firstRow;
  const stopDay = days.some((cell) => cell.day === focused.day) ? focused.day : days.at(-1)?.day;
  const months = useMemo(() => monthStarts(days), [days]);
  const box = useRef(null);
  useLayoutEffect(() => {
    // The newest days are what people look for.
    const share = (newestColumn(keyRows) + 2) / days.length;
    box.current.scrollLeft = share * box.current.scrollWidth - box.current.clientWidth;
  }, []);
  return h(
    "div",
    { className: "rl-scroll", ref: box },
    h(
      "div",
      {
        className: "rl-keys",
        role: "grid",
        "aria-label": label,
        "aria-multiselectable": true,
        style: { "--rl-days": days.length },
        onFocus: (event) =>
          event.target.dataset.day && setFocused({ day: event.target.dataset.day, row: event.target.dataset.row }),
        ...handlers,
      },
      h(
        "div",
        { className: "rl-row rl-key-months", "aria-hidden": true },
        h("span", { className: "rl-corner" }),
        months.map(([column, month]) => h("span", { key: month, style: { gridColumnStart: column + 2 } }, month)),
      ),
      keyRows.map((row, number) =>
        h(KeyRow, {
          key: nameOf(row.keys),
          number,
          name: nameOf(row.keys),
          cells: row.days,
          days,
          scale,
          picks,
          stop: String(number) === stopRow ? stopDay : null,
        }),
      ),
    ),
  );
});

/** The last column in which a row has something. */
const newestColumn = (keyRows) => Math.max(0, ...keyRows.map((row) => row.days.findLastIndex(Boolean)));

function monthStarts(days) {
  const starts = [];
  let month = "";
  days.forEach(({ day }, column) => {
    if (day.slice(0, 7) !== month) starts.push([column, `${MONTHS[+day.slice(5, 7) - 1]} ${day.slice(0, 4)}`]);
    month = day.slice(0, 7);
  });
  return starts;
}
