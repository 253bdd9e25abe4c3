// How far a request has come: a badge, a sentence, and a bar while days are left.

import { Progress, Tag, h } from "./elements.js";
import { count, number } from "./format.js";

const KINDS = {
  running: ["running", "blue"],
  waiting_for_file: ["waiting for a file", "purple"],
  waiting_for_input: ["waiting for an input", "purple"],
  paused: ["paused", "orange"],
  queued: ["queued", "gray"],
  done: ["done", "green"],
  failed: ["failed", "red"],
  cancelled: ["cancelled", "gray"],
};

export const isOpen = (request) => request.state === "accepted";

export function KindTag({ standing }) {
  const [word, colour] = KINDS[standing.kind] ?? [standing.kind, "gray"];
  return h(Tag, { colour }, word);
}

/** What came of the days, in words: "3 published, 1 failed, 28 left of 31 days". */
export function outcome({ counts }) {
  const parts = ["published", "unchanged", "failed", "skipped", "cancelled", "waiting", "left"]
    .filter((name) => counts[name] > 0)
    .map((name) => `${number(counts[name])} ${name}`);
  return `${parts.join(", ") || "nothing yet"} of ${count(counts.asked, "day")}`;
}

/** Whether the days came to more than one end; otherwise the sentence says it all. */
const isMixed = ({ counts }) =>
  ![counts.published, counts.unchanged, counts.failed, counts.cancelled].includes(counts.asked);

/** `isLive` has it read out when it changes: one request, not a list of them. */
export function Standing({ request, isLive = false }) {
  const { standing, counts, progress } = request;
  const ended = counts.asked - counts.left;
  const staged = progress && `${number(progress.staged)} of ${count(progress.days, "day")}`;
  return h(
    "div",
    { className: "rl-standing" },
    h(
      "p",
      { role: isLive ? "status" : undefined },
      h(KindTag, { standing }),
      " ",
      h("span", { className: "rl-words" }, standing.sentence),
    ),
    isOpen(request) && h(Progress, { done: ended, all: counts.asked, label: outcome(request) }),
    isOpen(request) &&
      progress &&
      h(Progress, {
        // Most files are complete at the end of the query, all at once; until then its share counts.
        done: Math.max(progress.staged, Math.floor((progress.days * (progress.percent ?? 0)) / 100)),
        all: progress.days,
        label: `in work: ${staged} written, ${number(progress.rows)} rows`,
      }),
    !isOpen(request) && isMixed(request) && h("p", null, outcome(request)),
    request.error &&
      !standing.sentence.includes(request.error) &&
      h("p", { className: "rl-fault rl-words" }, request.error),
  );
}
