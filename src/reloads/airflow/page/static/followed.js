// What became of a request that was just asked: from its file, through its run, to its end.

import { Note, h, useEffect, useRef } from "./elements.js";
import { Trouble, refreshAll, useLive } from "./live.js";
import { RequestLink } from "./place.js";
import { Standing, isOpen } from "./standing.js";
import { pathOf } from "./api.js";

const isUnderWay = (data) => data.state === "dropped" || isOpen(data);

export function Followed({ file }) {
  const { data, error } = useLive(pathOf(["requests", file]), isUnderWay);
  const word = data ? `${data.state} ${data.standing?.kind ?? ""}` : "";
  const seen = useRef(word);
  useEffect(() => {
    // The page's own figures follow each step at once.
    if (seen.current !== word) refreshAll();
    seen.current = word;
  }, [word]);
  return h(
    "div",
    { className: "rl-followed" },
    h(Trouble, { error: error?.status === 404 ? null : error }),
    (!data || data.state === "dropped") &&
      h("p", { role: "status" }, data?.sentence ?? `${file} is in the drop folder.`),
    data?.state === "rejected" && h(Note, { status: "error", title: "Rejected" }, data.sentence),
    data?.id && h("p", null, "Request ", h(RequestLink, { id: data.id })),
    data?.id && h(Standing, { request: data, isLive: true }),
  );
}
