// Picking days: by mouse (click, drag, Shift, Ctrl), by finger (tap), by keyboard (Space, Shift and arrows, Escape).

import { useCallback, useMemo, useRef, useState } from "./elements.js";
import { addDays, daysBetween } from "./days.js";

const JUMPS = { ArrowLeft: -7, ArrowRight: 7, ArrowUp: -1, ArrowDown: 1, PageUp: -28, PageDown: 28 };
const JUMPS_OF_KEYS = { ArrowLeft: -1, ArrowRight: 1, PageUp: -28, PageDown: 28 };

const dayOf = (event) => event.target.closest?.("[data-day]")?.dataset ?? null;

/**
 * The picked days, and what a grid of days has to be given so that they can be picked there.
 *
 * `firstDay` bounds what can be picked; `onShow(day)` is told which day somebody looks at.
 */
export function usePicks({ firstDay, onShow }) {
  const [picks, setPicks] = useState(() => new Set());
  const now = useRef({});
  const drag = useRef(null);
  const anchor = useRef(null);
  const extension = useRef(null);
  const pressed = useRef(null);
  now.current = { picks, firstDay, onShow };

  const choose = useCallback((days) => {
    const { picks: old, firstDay: bound } = now.current;
    const next = new Set([...days].filter((day) => day >= bound));
    if (next.size !== old.size || [...next].some((day) => !old.has(day))) setPicks(next);
  }, []);

  const handlers = useMemo(() => {
    const toggle = (day) => {
      const next = new Set(now.current.picks);
      if (!next.delete(day)) next.add(day);
      anchor.current = day;
      choose(next);
    };

    const press = (day, event) => {
      const { picks: old } = now.current;
      const adds = event.ctrlKey || event.metaKey;
      const base = adds ? old : new Set();
      if (event.shiftKey && anchor.current) {
        choose([...base, ...daysBetween(anchor.current, day)]);
      } else if (adds) {
        toggle(day);
      } else {
        choose(old.size === 1 && old.has(day) ? [] : [day]);
        anchor.current = day;
      }
      drag.current = { base: [...base], last: day };
      // The drag ends wherever the button is let go.
      window.addEventListener("pointerup", () => (drag.current = null), { once: true });
    };

    return {
      onPointerDown(event) {
        const cell = dayOf(event);
        pressed.current = event.pointerType;
        if (!cell || event.button !== 0 || event.pointerType === "touch") return;
        extension.current = null;
        press(cell.day, event);
        now.current.onShow(cell.day);
      },
      onPointerOver(event) {
        const cell = dayOf(event);
        if (!drag.current || !cell || cell.day === drag.current.last) return;
        drag.current.last = cell.day;
        choose([...drag.current.base, ...daysBetween(anchor.current ?? cell.day, cell.day)]);
      },
      onClick(event) {
        // A finger scrolls by moving, so it taps; a screen reader clicks without pressing anything.
        const cell = dayOf(event);
        const isDone = pressed.current !== null && pressed.current !== "touch";
        pressed.current = null;
        if (!cell || isDone) return;
        toggle(cell.day);
        now.current.onShow(cell.day);
      },
      onKeyDown(event) {
        const cell = dayOf(event);
        if (!cell || event.ctrlKey || event.metaKey || event.altKey) return;
        const isKey = cell.row !== undefined;
        const jump = (isKey ? JUMPS_OF_KEYS : JUMPS)[event.key];
        if (event.key === "Escape") choose([]);
        else if (event.key === " ") toggle(cell.day);
        else if (event.key === "Enter") choose([cell.day]);
        else if (isKey && (event.key === "ArrowUp" || event.key === "ArrowDown")) {
          moveRow(event, event.key === "ArrowUp" ? -1 : 1);
        } else if (jump !== undefined) {
          const target = addDays(cell.day, jump);
          if (!focusDay(event, target, cell.row)) return void event.preventDefault();
          extend(event.shiftKey, cell.day, target);
        } else if (event.key === "Home" || event.key === "End") {
          const days = event.currentTarget.querySelectorAll("[data-day]");
          const all = [...days].map((element) => element.dataset.day).sort();
          focusDay(event, event.key === "Home" ? all[0] : all.at(-1), cell.row);
        } else return;
        event.preventDefault();
        if (event.key === " " || event.key === "Enter") now.current.onShow(cell.day);
        if (!event.shiftKey) extension.current = null;
      },
    };

    /** Shift and arrows pick from where they began, beside what was picked before. */
    function extend(isShift, from, to) {
      if (!isShift) return;
      extension.current ??= { from, base: [...now.current.picks] };
      anchor.current = extension.current.from;
      choose([...extension.current.base, ...daysBetween(extension.current.from, to)]);
    }
  }, [choose]);

  return { picks, choose, handlers };
}

/** Move the focus to a day of the same row, also into the grid of another year; whether there is one. */
function focusDay(event, day, row) {
  const root = event.currentTarget.closest("[data-calendars]") ?? event.currentTarget;
  const rows = row === undefined ? ":not([data-row])" : `[data-row="${row}"]`;
  const target = root.querySelector(`[data-day="${day}"]${rows}`);
  target?.focus();
  return Boolean(target);
}

function moveRow(event, step) {
  const { day, row } = event.target.dataset;
  event.currentTarget.querySelector(`[data-day="${day}"][data-row="${+row + step}"]`)?.focus();
}
