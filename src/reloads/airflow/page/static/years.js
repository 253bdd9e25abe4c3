// The years of a table under one another: the newest with data at first, the others on demand.

import { boundsOf, Year } from "./calendar.js";
import { makeScale, ScaleLegend } from "./colour.js";
import { DayPanel } from "./day.js";
import { yearOf } from "./days.js";
import { Button, Heading, Loading, h, useEffect, useMemo, useRef, useState } from "./elements.js";
import { count } from "./format.js";
import { Hint } from "./hint.js";
import { KeyRows } from "./key_rows.js";
import { Trouble, useLive } from "./live.js";
import { usePlace } from "./place.js";
import { Reasons } from "./reasons.js";
import { isMoving } from "./states.js";
import { pathOf } from "./api.js";

const isBusy = (data, table) => table.open_requests > 0 || data.days.some((cell) => isMoving(cell.state));

/** The years that a table can have days in, newest first. */
export function yearsOf(table, today) {
  const last = yearOf([table.last_day, table.last_published].filter(Boolean).sort().at(-1) ?? today);
  const first = yearOf(table.first_day);
  const years = [];
  for (let year = Math.max(first, last); year >= first; year -= 1) years.push(year);
  return years;
}

export function Years({ table, ...rest }) {
  const { params, go } = usePlace();
  const box = useRef(null);
  const years = yearsOf(table, rest.today);
  const newest = yearOf(table.last_published ?? table.last_day ?? table.first_day);
  const asked = params.get("year") ?? rest.marks.shown?.slice(0, 4) ?? "";
  const named = years.filter((year) => asked === "all" || asked.split(" ").includes(String(year)));
  const visible = named.length ? named : [newest];
  const hidden = years.filter((year) => !visible.includes(year));
  const show = (more) => go({ year: more === "all" ? "all" : [...visible, more].join(" ") });
  return h(
    "div",
    { className: "rl-stack", ref: box, "data-calendars": true },
    visible.map((year) => h(OneYear, { key: year, year, table, ...rest })),
    hidden.length > 0 &&
      h(
        "div",
        { className: "rl-buttons", role: "group", "aria-label": "Other years" },
        hidden
          .slice(0, 12)
          .map((year) => h(Button, { key: year, size: "xs", onClick: () => show(year) }, `Show ${year}`)),
        hidden.length > 1 && h(Button, { size: "xs", onClick: () => show("all") }, `Show all ${years.length} years`),
      ),
    h(Hint, { within: box }),
  );
}

function OneYear({ year, table, today, level, way, showsKeys, marks, choose }) {
  const box = useRef(null);
  const isSeen = useSeen(box);
  const { first, last } = boundsOf(year, table, today);
  // The rows of the keys are most of the answer, and it is asked for again and again.
  const path = pathOf(["tables", table.name, "days"], { first, last, keys: showsKeys });
  const { data, error } = useLive(isSeen ? path : null, (answer) => isBusy(answer, table));
  const days = useMemo(() => data && data.days.map((cell) => withoutBlame(cell, table)), [data, table.last_day]);
  const hasRows = showsKeys && data?.key_rows.length > 0;
  const scale = useMemo(
    () => data && makeScale(way, hasRows ? data.key_rows.flatMap((row) => row.days).filter(Boolean) : data.days),
    [data, way, hasRows],
  );
  const label = `${table.name} in ${year}, one cell a day`;
  return h(
    "div",
    { ref: box, className: "rl-stack rl-block" },
    h(
      "div",
      { className: "rl-title" },
      h(Heading, { level, size: "sm" }, year),
      data && h("span", { className: "rl-muted" }, summary(days)),
    ),
    h(Trouble, { error }),
    !data && !error && h("div", { className: "rl-placeholder" }, isSeen && h(Loading, { what: year })),
    data && h(ScaleLegend, { scale }),
    data &&
      showsKeys &&
      !hasRows &&
      h("p", { className: "rl-muted" }, `Nothing is loaded, so there is no value of ${table.keys.join(" or ")} yet.`),
    data && !hasRows && h(Year, { year, days, scale, ...marks, label }),
    hasRows && h(KeyRows, { days, keyRows: data.key_rows, scale, ...marks, label: `${label} and key` }),
    marks.shown && yearOf(marks.shown) === year && h(DayPanel, { table, day: marks.shown, level: level + 1 }),
    data && h(Reasons, { days, year, choose }),
  );
}

/** A day after the last one that the table should have is not missing. */
const withoutBlame = (cell, { last_day: last }) =>
  cell.state === "missing" && (last === null || cell.day > last) ? { ...cell, state: "beyond", why: null } : cell;

function summary(days) {
  const published = days.filter((cell) => cell.changed_at).length;
  const bad = days.filter((cell) => ["refused", "failed", "waiting", "stale"].includes(cell.state)).length;
  const missing = days.filter((cell) => cell.state === "missing").length;
  const parts = [`${count(published, "day")} published`];
  if (missing) parts.push(`${missing} missing`);
  if (bad) parts.push(`${bad} to look at`);
  return parts.join(", ");
}

/** Whether the element came into sight once: what was never seen is not asked for. */
function useSeen(element) {
  const [isSeen, setSeen] = useState(false);
  useEffect(() => {
    if (isSeen) return undefined;
    const observer = new IntersectionObserver(
      (entries) => entries.some((entry) => entry.isIntersecting) && setSeen(true),
    );
    observer.observe(element.current);
    return () => observer.disconnect();
  }, [isSeen, element]);
  return isSeen;
}
