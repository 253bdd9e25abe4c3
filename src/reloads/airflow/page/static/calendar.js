// One year of a table as a heat map: weeks are columns, weekdays are rows.

import { h, memo, useLayoutEffect, useMemo, useRef, useState } from "./elements.js";
import { MONTHS, WEEKDAYS, daysBetween, weekdayOf } from "./days.js";
import { classOf, describe } from "./colour.js";
import { LETTERS } from "./states.js";

/** The days of a year by weekday, one for each week; null before its first day and after its last. */
function layOut(year) {
  const rows = WEEKDAYS.map(() => []);
  const first = `${year}-01-01`;
  for (let blank = 0; blank < weekdayOf(first); blank += 1) rows[blank].push(null);
  for (const day of daysBetween(first, `${year}-12-31`)) rows[weekdayOf(day)].push(day);
  const weeks = rows[0].length;
  for (const row of rows) while (row.length < weeks) row.push(null);
  return { rows, weeks };
}

const weekOf = (year, day) => {
  const first = `${year}-01-01`;
  const days = (Date.parse(day) - Date.parse(first)) / 86_400_000;
  return Math.floor((days + weekdayOf(first)) / 7);
};

const Months = memo(({ year }) =>
  h(
    "div",
    { className: "rl-months", "aria-hidden": true },
    h("span", { className: "rl-corner" }),
    MONTHS.map((month, number) =>
      h(
        "span",
        {
          key: month,
          style: { gridColumnStart: 2 + weekOf(year, `${year}-${String(number + 1).padStart(2, "0")}-01`) },
        },
        month,
      ),
    ),
  ),
);

const Day = memo(({ cell, scale, isPicked, isShown, isTabStop }) =>
  h(
    "span",
    {
      role: "gridcell",
      "data-day": cell.day,
      className: classOf(cell, scale),
      tabIndex: isTabStop ? 0 : -1,
      "aria-selected": isPicked,
      "aria-current": isShown ? "date" : undefined,
      "aria-label": describe(`${WEEKDAYS[weekdayOf(cell.day)]} ${cell.day}`, cell),
    },
    LETTERS[cell.state],
  ),
);

/** The heat map. `days` are the answers for the days of this year that the table can have. */
export const Year = memo(({ year, days, scale, picks, shown, handlers, label }) => {
  const { rows, weeks } = useMemo(() => layOut(year), [year]);
  const byDay = useMemo(() => new Map(days.map((cell) => [cell.day, cell])), [days]);
  const [focused, setFocused] = useState(null);
  const stop = byDay.has(focused) ? focused : byDay.has(shown) ? shown : days.at(-1)?.day;
  const box = useRef(null);
  useLayoutEffect(() => {
    // On a narrow screen a part of the year is in sight: the one with the newest data.
    const newest = days.findLast((cell) => cell.changed_at)?.day ?? days[0]?.day;
    const share = newest ? (weekOf(year, newest) + 3) / weeks : 0;
    box.current.scrollLeft = share * box.current.scrollWidth - box.current.clientWidth;
  }, []);
  return h(
    "div",
    { className: "rl-scroll", ref: box },
    h(
      "div",
      {
        className: `rl-year rl-weeks-${weeks}`,
        role: "grid",
        "aria-label": label,
        "aria-multiselectable": true,
        onFocus: (event) => setFocused(event.target.dataset.day ?? null),
        ...handlers,
      },
      h(Months, { year }),
      rows.map((row, weekday) =>
        h(
          "div",
          { key: weekday, role: "row", className: "rl-row" },
          h("span", { role: "rowheader", className: "rl-weekday" }, WEEKDAYS[weekday]),
          row.map((day, week) =>
            byDay.has(day)
              ? h(Day, {
                  key: day,
                  cell: byDay.get(day),
                  scale,
                  isPicked: picks.has(day),
                  isShown: day === shown,
                  isTabStop: day === stop,
                })
              : h("span", { key: `blank ${week}`, className: "rl-blank", "aria-hidden": true }),
          ),
        ),
      ),
    ),
  );
});

/** The first and last day of a year that the table can have. */
export function boundsOf(year, table, today) {
  const start = `${year}-01-01`;
  const end = `${year}-12-31`;
  const newest = [table.last_day, table.last_published, today].filter(Boolean).sort().at(-1);
  return {
    first: table.first_day > start ? table.first_day : start,
    last: newest < end && newest >= start ? newest : end,
  };
}
