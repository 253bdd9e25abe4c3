// The Warehouse page. Airflow loads this module once and takes the component that it leaves behind.

import { Heading, Loading, Note, h, useEffect } from "./elements.js";
import { useTables } from "./list.js";
import { Trouble } from "./live.js";
import { PageLink, usePlace } from "./place.js";
import { RequestView } from "./request.js";
import { RequestsView } from "./requests.js";
import { RunView } from "./run.js";
import { TableView } from "./table.js";
import { TablesView } from "./tables.js";

const STYLE = new URL("page.css", import.meta.url).href;

/**
 * Whether the host has made its own mind up about us. Airflow 3.3.2 wraps a component that it just loaded, and takes
 * it without the wrapper whenever it draws the route again: everything in it starts anew. So the route is drawn again
 * before anybody can have picked or typed something.
 */
function useSettled() {
  const { redraw } = usePlace();
  useEffect(() => {
    if (!Warehouse.isSettled) {
      Warehouse.isSettled = true;
      redraw();
    }
  }, []);
  return Warehouse.isSettled;
}

function Page() {
  const { params } = usePlace();
  const isRequests = params.get("view") === "requests";
  const table = isRequests ? null : params.get("table");
  const id = isRequests ? params.get("id") : null;
  const here = (is) => (is ? "page" : undefined);
  return h(
    "main",
    { className: "rl-stack" },
    h(
      "header",
      { className: "rl-head" },
      h(Heading, { level: 1 }, "Warehouse"),
      h(
        "nav",
        { "aria-label": "Warehouse", className: "rl-nav" },
        h(PageLink, { "aria-current": here(!isRequests && !table) }, "Tables"),
        h(PageLink, { to: { view: "requests" }, "aria-current": here(isRequests && !id) }, "Requests"),
      ),
    ),
    id
      ? h(RequestView, { key: id, id })
      : isRequests
        ? h(RequestsView)
        : table
          ? h(TableView, { key: table, name: table, level: 2 })
          : h(TablesView),
  );
}

function DagTab({ dagId }) {
  const { data, error } = useTables();
  if (!data) return error ? h(Trouble, { error }) : h(Loading, { what: dagId });
  const table = [...data.tables, ...data.broken].find(({ dag }) => dag === dagId);
  if (!table) return h(Note, null, `${dagId} rewrites no table. `, h(PageLink, null, "All tables"));
  return h(TableView, { key: dagId, name: table.name, level: 2, isTab: true });
}

function Warehouse({ dagId, runId }) {
  const isSettled = useSettled();
  return h(
    "div",
    { className: "rl" },
    // React puts it into the head, once, and shows the rest when it is there.
    h("link", { rel: "stylesheet", href: STYLE, precedence: "medium" }),
    isSettled && (!dagId ? h(Page) : runId ? h(RunView, { dagId, runId }) : h(DagTab, { dagId })),
  );
}

Warehouse.isSettled = false;
globalThis.AirflowPlugin = Warehouse;
