// What a day can be, in the order in which it is said: a word, a letter for the eye, and a class for the colour.

import { h } from "./elements.js";
import { number } from "./format.js";

export const STATES = ["running", "open", "waiting", "refused", "failed", "missing", "stale", "empty", "fresh"];

export const WORDS = {
  running: "being rewritten",
  open: "asked for",
  waiting: "waiting for a file",
  refused: "refused by a check",
  failed: "failed",
  missing: "missing",
  stale: "stale",
  empty: "no rows",
  fresh: "fresh",
  beyond: "not loaded, and not due",
};

// Colour never says it alone: missing has a dashed frame, fresh is plain.
export const LETTERS = {
  running: "▸",
  open: "+",
  waiting: "w",
  refused: "!",
  failed: "×",
  missing: "",
  stale: "s",
  empty: "0",
  fresh: "",
  beyond: "",
};

export const isMoving = (state) => state === "running" || state === "open";

export const StateMark = ({ state }) =>
  h("span", { className: `rl-cell rl-${state}`, "aria-hidden": true }, LETTERS[state]);

/** The state in words, and why it is so: that a missing day is missing, and an open one asked for, is said already. */
export const inWords = ({ state, why }) =>
  why && !["missing", "open"].includes(state) ? `${WORDS[state]}, ${why}` : WORDS[state];

export const StateWord = ({ state, why }) =>
  h("span", { className: "rl-state" }, h(StateMark, { state }), " ", inWords({ state, why }));

/** How many days are in which state, as one thin bar; its words are its name. */
export function StateBar({ counts }) {
  const present = STATES.filter((state) => counts[state] > 0);
  const words = present.map((state) => `${number(counts[state])} ${WORDS[state]}`).join(", ") || "no days";
  return h(
    "div",
    { className: "rl-bar", role: "img", "aria-label": words, title: words },
    present.map((state) => h("span", { key: state, className: `rl-${state}`, style: { flexGrow: counts[state] } })),
  );
}

/** The states with what they mean, and how many days have each. */
export const Legend = ({ counts }) =>
  h(
    "ul",
    { className: "rl-legend", "aria-label": "States of days" },
    STATES.map((state) =>
      h(
        "li",
        { key: state, className: counts[state] ? "" : "rl-none" },
        h(StateMark, { state }),
        ` ${WORDS[state]} `,
        h("b", null, number(counts[state] ?? 0)),
      ),
    ),
  );
