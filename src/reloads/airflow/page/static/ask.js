// Asking for days: which, what of them, the plan, a reason, and one button. The request goes in as a file does.

import { parseDays, toRanges } from "./days.js";
import { Button, Choice, Note, Primary, Section, TextField, Tick, h, useEffect, useState } from "./elements.js";
import { Followed } from "./followed.js";
import { count } from "./format.js";
import { refreshAll } from "./live.js";
import { Plan, usePlan } from "./plan.js";
import { post } from "./api.js";

const ONLY = [
  ["all", "all of them"],
  ["missing", "those that are missing"],
  ["stale", "those that are stale"],
];
const NOTHING_MORE = { only: "all", keys: {}, parameters: "", cascade: true };

export function AskPanel({ table, picks, choose, level }) {
  const [more, setMore] = useState(NOTHING_MORE);
  const [reason, setReason] = useState("");
  const [asked, setAsked] = useState({ file: null, error: null, isSending: false });
  const [text, setText, fault] = useTyped(picks, choose, table.first_day);
  const wish = wishOf(table, picks, more);
  const plan = usePlan(fault || picks.size === 0 || wish.error ? null : wish);
  const change = (part) => setMore((old) => ({ ...old, ...part }));

  const ask = async () => {
    setAsked({ file: null, error: null, isSending: true });
    try {
      const { file } = await post("/requests", { ...wish, ...(reason.trim() && { reason: reason.trim() }) });
      setAsked({ file, error: null, isSending: false });
      setReason("");
      // So that nobody asks for the same once more; the calendar shows what was asked for.
      choose([]);
      refreshAll();
    } catch (error) {
      setAsked({ file: null, error, isSending: false });
    }
  };

  return h(
    Section,
    { title: table.may_ask ? "Ask for a reload" : "Plan a reload", level, className: "rl-panel" },
    h(TextField, {
      label: "Days",
      value: text,
      error: fault,
      onChange: setText,
      placeholder: "2013-01-01..2013-01-05, 2013-02-01",
      help: "Pick them in the calendar, or type days and ranges.",
    }),
    h(More, { table, more, change, fault: wish.error }),
    picks.size > 0 && h(Plan, { ...plan, level: level + 1 }),
    table.may_ask
      ? h(
          "form",
          {
            className: "rl-stack",
            onSubmit: (event) => {
              event.preventDefault();
              ask();
            },
          },
          h(TextField, {
            label: "Reason",
            value: reason,
            onChange: setReason,
            maxLength: 1000,
            help: "Kept with the request and shown everywhere.",
          }),
          h(
            "div",
            { className: "rl-buttons" },
            h(
              Primary,
              { type: "submit", disabled: !plan.plan || asked.isSending },
              picks.size ? `Ask for ${count(picks.size, "day")}` : "Ask",
            ),
            picks.size > 0 && h(Button, { variant: "ghost", onClick: () => choose([]) }, "Clear"),
          ),
        )
      : h(
          Note,
          { status: "info" },
          `You may look, but not ask: that needs the right to trigger ${table.dag}.`,
        ),
    asked.error && h(Note, { status: "error" }, asked.error.message),
    asked.file && h(Followed, { key: asked.file, file: asked.file }),
  );
}

/** The text of the picked days, which follows the mouse, and makes picks itself as far as it can be read. */
function useTyped(picks, choose, firstDay) {
  const [typed, setTyped] = useState(null);
  const [fault, setFault] = useState(null);
  useEffect(() => {
    // Picks that are not those of the text were made elsewhere, so the text follows them.
    if (typed !== null && !isSame(read(typed), picks)) {
      setTyped(null);
      setFault(null);
    }
  }, [picks]);
  const change = (text) => {
    setTyped(text);
    try {
      const days = parseDays(text);
      const early = [...days].find((day) => day < firstDay);
      if (early) throw new Error(`${early} is before the first day of the table; begin with ${firstDay}`);
      setFault(null);
      choose(days);
    } catch (error) {
      setFault(error.message);
    }
  };
  return [typed ?? toRanges(picks).join(", "), change, fault];
}

function read(text) {
  try {
    return parseDays(text);
  } catch {
    return new Set();
  }
}

const isSame = (one, other) => one.size === other.size && [...one].every((day) => other.has(day));

function wishOf(table, picks, { only, keys, parameters, cascade }) {
  const wish = { table: table.name, days: toRanges(picks), only, cascade };
  const chosen = Object.entries(keys).map(([key, text]) => [
    key,
    text
      .split(",")
      .map((value) => value.trim())
      .filter(Boolean),
  ]);
  wish.keys = Object.fromEntries(chosen.filter(([, values]) => values.length > 0));
  if (!parameters.trim()) return wish;
  try {
    return { ...wish, parameters: JSON.parse(parameters) };
  } catch {
    return { ...wish, error: 'parameters are not JSON; write them like {"hours": 6}' };
  }
}

const More = ({ table, more, change, fault }) =>
  h(
    "details",
    { className: "rl-more" },
    h("summary", null, "More"),
    h(
      "div",
      { className: "rl-stack" },
      h(Choice, {
        label: "Of these days, rewrite",
        value: more.only,
        options: ONLY,
        onChange: (only) => change({ only }),
      }),
      table.keys.map((key) =>
        h(TextField, {
          key,
          label: `Only these values of ${key}`,
          value: more.keys[key] ?? "",
          help: "Separated by commas; empty for all.",
          onChange: (text) => change({ keys: { ...more.keys, [key]: text } }),
        }),
      ),
      h(TextField, {
        label: "Parameters",
        value: more.parameters,
        error: fault,
        placeholder: "{}",
        help: "JSON, for a table that declares some.",
        onChange: (parameters) => change({ parameters }),
      }),
      h(Tick, { label: "Downstream tables follow", checked: more.cascade, onChange: (cascade) => change({ cascade }) }),
    ),
  );
