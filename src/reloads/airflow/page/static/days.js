// Days are texts, "2013-01-05": they sort as they are, and no time zone can move them.

const DAY = /^\d{4}-\d{2}-\d{2}$/;
const MILLISECONDS = 86_400_000;
const MOST_DAYS = 20_000;
export const WEEKDAYS = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
export const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

const toTime = (day) => Date.parse(`${day}T00:00:00Z`);
const toDay = (time) => new Date(time).toISOString().slice(0, 10);

export const addDays = (day, count) => toDay(toTime(day) + count * MILLISECONDS);

export const yearOf = (day) => +day.slice(0, 4);

/** 0 is Monday. */
export const weekdayOf = (day) => (new Date(toTime(day)).getUTCDay() + 6) % 7;

/** Whether the text is a day of the calendar, written as days are. */
export const isDay = (text) => DAY.test(text) && !Number.isNaN(toTime(text)) && toDay(toTime(text)) === text;

/** All days from the first to the last, whichever comes first in time. */
export function daysBetween(first, last) {
  const [start, end] = first <= last ? [first, last] : [last, first];
  const days = [];
  for (let time = toTime(start); time <= toTime(end); time += MILLISECONDS) days.push(toDay(time));
  return days;
}

/** Days as ranges: "2013-01-01..2013-01-05". */
export function toRanges(days) {
  const ranges = [];
  for (const day of [...days].sort()) {
    const open = ranges.at(-1);
    if (open && addDays(open[1], 1) === day) open[1] = day;
    else ranges.push([day, day]);
  }
  return ranges.map(([first, last]) => (first === last ? first : `${first}..${last}`));
}

/** Days of a typed text; throws a sentence where it is not one. */
export function parseDays(text) {
  const days = new Set();
  for (const part of text.split(/[\s,;]+/).filter(Boolean)) {
    const [first, last = first, ...more] = part.split("..");
    if (more.length || !isDay(first) || !isDay(last))
      throw new Error(`"${part}" is not a day or a range; write it like 2013-01-05 or 2013-01-05..2013-01-09`);
    if (last < first) throw new Error(`${part} ends before it begins; swap the two days`);
    if ((toTime(last) - toTime(first)) / MILLISECONDS + days.size > MOST_DAYS)
      throw new Error(`${part} is more than ${MOST_DAYS} days; ask for a part of them`);
    for (const day of daysBetween(first, last)) days.add(day);
  }
  return days;
}
