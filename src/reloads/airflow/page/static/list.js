// The list of all tables, as several views read it.

import { useMemo } from "./elements.js";
import { useLive } from "./live.js";

// What the server does not know yet of a table counts as nothing until it does.
const NOTHING = { counts: {}, published_days: 0, gaps: 0, rows: 0, bytes: 0, open_requests: 0, failed_requests: 0 };

const isLookedAt = (table) => table.counts !== null;

const isBusy = (data) => data.tables.some((table) => !isLookedAt(table) || table.open_requests > 0);

/** The newest list; a table whose days the server still looks at has `isUnknown`. */
export function useTables() {
  const { data, error } = useLive("/tables", isBusy);
  const list = useMemo(
    () =>
      data && {
        ...data,
        tables: data.tables.map((table) => (isLookedAt(table) ? table : { ...table, ...NOTHING, isUnknown: true })),
      },
    [data],
  );
  return { data: list, error };
}
