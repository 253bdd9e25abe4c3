// What a cell says, below its grid so that it covers no cell. One element for all; the cells' names say the same.

import { h, useEffect, useRef, useState } from "./elements.js";

export function Hint({ within }) {
  const [hint, setHint] = useState(null);
  const element = useRef(null);
  useEffect(() => {
    const root = within.current;
    if (!root) return undefined;
    const show = (event) => {
      if (event.buttons) return setHint(null);
      const cell = event.target.closest("[data-day]");
      if (!cell) return setHint(null);
      const box = cell.getBoundingClientRect();
      return setHint({
        text: cell.getAttribute("aria-label"),
        x: box.left + box.width / 2,
        y: cell.closest("[role=grid]").getBoundingClientRect().bottom,
      });
    };
    const hide = () => setHint(null);
    const onEscape = (event) => event.key === "Escape" && hide();
    root.addEventListener("mouseover", show);
    root.addEventListener("focusin", show);
    root.addEventListener("mouseleave", hide);
    root.addEventListener("focusout", hide);
    root.addEventListener("keydown", onEscape);
    window.addEventListener("scroll", hide, true);
    return () => {
      root.removeEventListener("mouseover", show);
      root.removeEventListener("focusin", show);
      root.removeEventListener("mouseleave", hide);
      root.removeEventListener("focusout", hide);
      root.removeEventListener("keydown", onEscape);
      window.removeEventListener("scroll", hide, true);
    };
  }, [within]);
  if (!hint) return null;
  const width = element.current?.offsetWidth ?? 240;
  const left = Math.min(Math.max(8, hint.x - width / 2), window.innerWidth - width - 8);
  return h(
    "div",
    {
      className: "rl-hint",
      ref: element,
      "aria-hidden": true,
      style: { left, top: Math.min(hint.y + 4, window.innerHeight - 48) },
    },
    hint.text,
  );
}
