// Numbers, sizes and times as people read them.

import { h } from "./elements.js";

const NUMBER = new Intl.NumberFormat("en");
const SHORT = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const UNITS = ["B", "kB", "MB", "GB", "TB", "PB"];

export const number = (value) => (value === null || value === undefined ? "–" : NUMBER.format(value));

export const shortNumber = (value) => (value === null || value === undefined ? "–" : SHORT.format(value));

/** "1 day", "3 days". */
export const count = (value, noun, plural = `${noun}s`) => `${number(value)} ${value === 1 ? noun : plural}`;

export function bytes(value) {
  if (value === null || value === undefined) return "–";
  let size = value;
  let unit = 0;
  while (size >= 1000 && unit < UNITS.length - 1) {
    size /= 1000;
    unit += 1;
  }
  return `${unit && size < 10 ? size.toFixed(1) : Math.round(size)} ${UNITS[unit]}`;
}

export function seconds(value) {
  if (value === null || value === undefined) return null;
  if (value < 60) return `${value < 10 ? value.toFixed(1) : Math.round(value)} s`;
  const minutes = Math.floor(value / 60);
  return minutes < 60
    ? `${minutes} min ${Math.round(value % 60)} s`
    : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** The zone that Airflow's own pages show times in. */
const zone = () => (localStorage.getItem("timezone") ?? "UTC").replaceAll('"', "");

// Thousands of cells have few times, and a clock takes a while for each.
const MOST_TEXTS = 10_000;
let clock = { timeZone: null, format: null, texts: new Map() };

/** "2026-11-29 14:03:05", in the zone of Airflow's pages. */
export function moment(time) {
  const timeZone = zone();
  if (clock.format === null || clock.timeZone !== timeZone || clock.texts.size > MOST_TEXTS) {
    clock = { timeZone, format: clockOf(timeZone), texts: new Map() };
  }
  if (!clock.texts.has(time)) clock.texts.set(time, clock.format.format(new Date(time)));
  return clock.texts.get(time);
}

function clockOf(timeZone) {
  const style = { dateStyle: "short", timeStyle: "medium" };
  try {
    return new Intl.DateTimeFormat("sv-SE", { ...style, timeZone });
  } catch {
    // A zone that this browser does not know.
    return new Intl.DateTimeFormat("sv-SE", { ...style, timeZone: "UTC" });
  }
}

export function age(time, now = Date.now()) {
  const passed = Math.max(0, (now - new Date(time)) / 1000);
  if (passed < 60) return "just now";
  if (passed < 3600) return `${Math.floor(passed / 60)} min ago`;
  if (passed < 86_400) return `${Math.floor(passed / 3600)} h ago`;
  if (passed < 60 * 86_400) return count(Math.floor(passed / 86_400), "day") + " ago";
  return moment(time).slice(0, 10);
}

/** A time: how long ago, and when exactly on a closer look. */
export const When = ({ time, isExact = false }) =>
  time ? h("time", { dateTime: time, title: moment(time) }, isExact ? moment(time) : age(time)) : "never";
