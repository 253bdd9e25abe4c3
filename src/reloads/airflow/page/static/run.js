// The tab of a run: the requests that it served.

import { Heading, Loading, Note, h } from "./elements.js";
import { Trouble, useLive } from "./live.js";
import { TableLink } from "./place.js";
import { RequestList } from "./requests.js";
import { isOpen } from "./standing.js";
import { pathOf } from "./api.js";

export function RunView({ dagId, runId }) {
  const { data, error } = useLive(pathOf(["runs", dagId, runId]), (answer) => answer.requests.some(isOpen));
  return h(
    "div",
    { className: "rl-stack" },
    h(Heading, { level: 2 }, "Requests of this run"),
    h(Trouble, { error }),
    !data && !error && h(Loading, { what: "requests" }),
    data?.table && h("p", null, "Table ", h(TableLink, { name: data.table })),
    data &&
      !data.table &&
      h(Note, null, "This run rewrites no table; requests are served by the runs of the DAG of a table."),
    data?.table && h(RequestList, { requests: data.requests, level: 3 }),
  );
}
