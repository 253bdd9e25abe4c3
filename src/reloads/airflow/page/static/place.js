// Where in the page one is: the search parameters say it, so Back and bookmarks work.

import { h } from "./elements.js";

const { Link, useLocation, useNavigate, useSearchParams } = globalThis.ReactRouterDOM;
export const PAGE = "/plugin/reloads";

/**
 * The parameters; `go(changes)` sets some of them and takes away those that are empty; `redraw()` goes to where one is.
 */
export function usePlace() {
  const [params, setParams] = useSearchParams();
  const go = (changes, { replace = false } = {}) =>
    setParams(
      (old) => {
        const next = new URLSearchParams(old);
        for (const [name, value] of Object.entries(changes)) {
          if (value === null || value === "") next.delete(name);
          else next.set(name, value);
        }
        return next;
      },
      { replace, preventScrollReset: true },
    );
  const navigate = useNavigate();
  const location = useLocation();
  const redraw = () => navigate(location, { replace: true, preventScrollReset: true });
  return { params, go, redraw };
}

const search = (query) => `?${new URLSearchParams(Object.entries(query).filter(([, value]) => value))}`;

export const PageLink = ({ to = {}, children, ...rest }) =>
  h(Link, { className: "rl-link", to: { pathname: PAGE, search: search(to) }, ...rest }, children);

export const TableLink = ({ name, children, day }) => h(PageLink, { to: { table: name, day } }, children ?? name);

export const RequestLink = ({ id, children }) => h(PageLink, { to: { view: "requests", id } }, children ?? id);

/** A link to one of Airflow's own pages; plain text where there is none. */
export const AirflowLink = ({ path, children }) =>
  /^\/(?!\/)/.test(path ?? "") ? h(Link, { className: "rl-link", to: path }, children) : h("span", null, children);
