// The one door to the server: JSON in and out, below the address that Airflow itself has.

const ROOT = "reloads/api";

/** What the server, or the way to it, refused: `message` is a sentence for people, `status` 0 without an answer. */
export class ApiError extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }

  /** Whether the same question may be answered a moment later. */
  get isPassing() {
    return this.status === 0 || this.status >= 500;
  }
}

const address = (path) => new URL(`${ROOT}${path}`, document.baseURI);

/** A path of the API; names are quoted, empty parameters are left out. */
export function pathOf(parts, query = {}) {
  const path = parts.map((part) => `/${encodeURIComponent(part)}`).join("");
  const given = Object.entries(query).filter(([, value]) => value !== "" && value !== null && value !== undefined);
  return given.length ? `${path}?${new URLSearchParams(given)}` : path;
}

async function send(path, options) {
  let answer;
  try {
    answer = await fetch(address(path), { credentials: "same-origin", cache: "no-store", ...options });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError("the server does not answer", 0);
  }
  const text = await answer.text();
  if (!answer.ok) throw new ApiError(sentenceOf(text, answer.status), answer.status);
  return text;
}

function sentenceOf(text, status) {
  try {
    const { detail } = JSON.parse(text);
    // What no rule of ours answers, as a name with a slash in it, gets these two words.
    if (detail === "Not Found") return "there is nothing of that name; go back to the list";
    if (typeof detail === "string" && detail) return detail;
    if (Array.isArray(detail) && detail.length) return detail.map((item) => String(item.msg ?? item)).join("; ");
  } catch {
    // A proxy on the way answers in pages; its number has to do.
  }
  return `the server answers with ${status}`;
}

/** The text of an answer, so that an equal one need not be read again. */
export const getText = (path, signal) => send(path, { signal });

export const get = async (path, signal) => JSON.parse(await getText(path, signal));

/** Ask for something to be done. */
export const post = async (path, body = {}, signal = undefined) =>
  JSON.parse(
    await send(path, {
      method: "POST",
      body: JSON.stringify(body),
      headers: { "Content-Type": "application/json" },
      signal,
    }),
  );

/** Airflow's login, which leads back to where one is. */
export function loginAddress() {
  const login = new URL("api/v2/auth/login", document.baseURI);
  login.searchParams.set("next", window.location.href);
  return login.href;
}
