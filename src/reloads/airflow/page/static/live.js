// Answers that stay true: a question is asked again while the page is seen, sooner while something moves.

import { getText, loginAddress } from "./api.js";
import { Note, h, useEffect, useRef, useState } from "./elements.js";

const BUSY_SECONDS = 2;
const IDLE_SECONDS = 10;
const AGAIN_SECONDS = 3;

// All questions that are asked now.
const polls = new Set();

/** Ask every question again at once: somebody just changed something. */
export const refreshAll = () => polls.forEach((poll) => poll.look());

// The time of the answer is no news.
const withoutTime = (text) => text.replace(/"as_of":\s*"[^"]*"/, "");

/**
 * The newest answer to a question: `{data, error}`.
 *
 * An error leaves the data as they were, and equal answers leave the same object, so nothing is drawn again.
 * `isBusy` says of the data whether something moves. Without a path nothing is asked.
 */
export function useLive(path, isBusy = () => false) {
  const [state, setState] = useState({ path: null, data: null, error: null });
  const judge = useRef(isBusy);
  judge.current = isBusy;
  useEffect(() => {
    if (path === null) return undefined;
    const poll = startPolling(path, (data) => judge.current(data), setState);
    polls.add(poll);
    return () => {
      polls.delete(poll);
      poll.stop();
    };
  }, [path]);
  return state.path === path ? state : { data: null, error: null };
}

function startPolling(path, isBusy, setState) {
  let known = "";
  let timer = 0;
  let question = null;
  let isStopped = false;

  const wait = (seconds) => {
    clearTimeout(timer);
    if (!isStopped && !document.hidden) timer = setTimeout(look, seconds * 1000);
  };

  async function look() {
    clearTimeout(timer);
    question?.abort();
    const mine = new AbortController();
    question = mine;
    try {
      const text = await getText(path, mine.signal);
      if (isStopped || mine !== question) return;
      const data = JSON.parse(text);
      const news = withoutTime(text);
      if (news === known) setState((old) => (old.error ? { ...old, error: null } : old));
      else setState({ path, data, error: null });
      known = news;
      wait(isBusy(data) ? BUSY_SECONDS : IDLE_SECONDS);
    } catch (error) {
      if (isStopped || mine !== question) return;
      setState((old) => ({ path, data: old.path === path ? old.data : null, error }));
      if (error.status !== 401) wait(error.isPassing === false ? IDLE_SECONDS : AGAIN_SECONDS);
    }
  }

  const onVisibility = () => (document.hidden ? clearTimeout(timer) : look());
  document.addEventListener("visibilitychange", onVisibility);
  look();
  return {
    look,
    stop() {
      isStopped = true;
      clearTimeout(timer);
      question?.abort();
      document.removeEventListener("visibilitychange", onVisibility);
    },
  };
}

/** What went wrong with a question, in one sentence; nothing if all is well. */
export function Trouble({ error }) {
  if (!error) return null;
  if (error.status === 401)
    return h(
      Note,
      { status: "warning" },
      "You are not logged in any more. ",
      h("a", { href: loginAddress(), className: "rl-link" }, "Log in"),
    );
  if (error.isPassing === false) return h(Note, { status: "error" }, error.message);
  return h(Note, { status: "warning" }, `Not connected (${error.message}), trying again. What is shown may be old.`);
}
