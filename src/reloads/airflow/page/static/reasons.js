// What a year's days need somebody for, in bulk: each cause with its days, and a button that picks them all.

import { toRanges } from "./days.js";
import { Button, h, memo, useState } from "./elements.js";
import { count } from "./format.js";
import { StateWord, inWords } from "./states.js";

const CALLING = ["refused", "failed", "waiting", "stale", "missing"];
const SHOWN = 6;
const SHOWN_RANGES = 6;

/** The days by state and cause, in the order of the states, the largest cause first. */
function groupDays(days) {
  const groups = new Map();
  for (const { day, state, why } of days) {
    if (!CALLING.includes(state)) continue;
    const words = inWords({ state, why });
    if (!groups.has(words)) groups.set(words, { state, why, words, days: [] });
    groups.get(words).days.push(day);
  }
  const order = (group) => CALLING.indexOf(group.state);
  return [...groups.values()].sort((one, other) => order(one) - order(other) || other.days.length - one.days.length);
}

export const Reasons = memo(({ days, year, choose }) => {
  const [showsAll, setShowsAll] = useState(false);
  const groups = groupDays(days);
  if (!groups.length) return null;
  const shown = showsAll ? groups : groups.slice(0, SHOWN);
  return h(
    "ul",
    { className: "rl-reasons", "aria-label": `What days of ${year} need` },
    shown.map((group) => h(Reason, { key: group.words, group, choose })),
    shown.length < groups.length &&
      h(
        "li",
        null,
        h(Button, { size: "xs", onClick: () => setShowsAll(true) }, `Show ${groups.length - shown.length} more`),
      ),
  );
});

function Reason({ group, choose }) {
  const ranges = toRanges(group.days);
  const more = ranges.length - SHOWN_RANGES;
  const many = count(group.days.length, "day");
  return h(
    "li",
    null,
    h(
      Button,
      { size: "xs", "aria-label": `Pick ${many}: ${group.words}`, onClick: () => choose(group.days) },
      `Pick ${many}`,
    ),
    h("span", { className: "rl-words" }, h(StateWord, group)),
    h(
      "span",
      { className: "rl-muted rl-ranges" },
      ranges.slice(0, SHOWN_RANGES).join(", "),
      more > 0 && ` and ${count(more, "more range")}`,
    ),
  );
}
