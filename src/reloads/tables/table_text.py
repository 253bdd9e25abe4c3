"""The text of a table, for people: what its README says, and what its folder says without being understood whole.

Cheap enough for a DAG file: it asks no database, so the inputs are those that the query names behind FROM and JOIN.
"""

from __future__ import annotations

import re
import tomllib
from contextlib import suppress
from pathlib import Path
from typing import Any

from reloads.errors import one_line, shorten

MAX_CHARACTERS = 20_000
"""As much of a README as a page shows."""

SUMMARY_CHARACTERS = 300

_COMMENT = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)
_RELATIONS = re.compile(
    r"\b(?:from|join)\s+(\"?\w+\"?(?:\s+(?:as\s+)?\w+)?(?:\s*,\s*\"?\w+\"?(?:\s+(?:as\s+)?\w+)?)*)", re.IGNORECASE
)
_FIRST_WORDS = re.compile(r"(?:^|,)\s*\"?(\w+)")


def read_text(tables: Path, name: str) -> str:
    """What the README.md of a table's folder says, or another of its *.md; empty if there is none to be read."""
    folder = tables / name
    for path in sorted(folder.glob("*.md"), key=lambda path: (path.name.lower() != "readme.md", path.name)):
        with suppress(OSError):
            return path.read_text(encoding="utf-8", errors="replace")[:MAX_CHARACTERS].strip()
    return ""


def summarize(text: str) -> str:
    """The first line of such a text that is not a heading; the heading where there is no other."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    line = next((line for line in lines if not line.startswith("#")), lines[0] if lines else "")
    return shorten(one_line(line.lstrip("# ")), SUMMARY_CHARACTERS)


def describe_table(tables: Path, name: str) -> str:
    """A page in Markdown: the README, and below it first day, keys, inputs and how to ask."""
    settings = _read_settings(tables / name / "table.toml")
    text = _cut_heading(read_text(tables, name))
    first_day = settings.get("first_day", "YYYY-MM-DD")
    facts = [f"* **First day**: {first_day}"]
    by_clock = "yes, the clock asks for yesterday once a day" if settings.get("daily", False) else "no, only on request"
    facts.append(f"* **Daily**: {by_clock}")
    if settings.get("on_arrival"):
        facts.append("* **Raw files**: a file that comes or changes asks for its days")
    if settings.get("keys"):
        facts.append(f"* **Keys**: {', '.join(map(str, settings['keys']))}")
    facts.append(f"* **Reads**: {_describe_inputs(tables, name, settings)}")
    example = f'{{"table": "{name}", "start_date": "{first_day}", "reason": "late files"}}'
    facts.append(f"* **Ask**: *Trigger* with a first and a last day, or drop a file into `landing/`: `{example}`")
    return "\n\n".join(filter(None, [f"### {name}", text, "\n".join(facts)]))


def _cut_heading(text: str) -> str:
    first, _, rest = text.partition("\n")
    return rest.strip() if first.startswith("#") else text


def _read_settings(path: Path) -> dict[str, Any]:
    """The settings as they stand; none where they cannot be read, as others say what is wrong with them."""
    with suppress(OSError, ValueError):
        return tomllib.loads(path.read_text(encoding="utf-8"))
    return {}


def _describe_inputs(tables: Path, name: str, settings: dict[str, Any]) -> str:
    reads = settings.get("reads", {})
    texts: list[str] = []
    for table in sorted(find_likely_inputs(tables, name)):
        texts.append(f"{table} ({reads[table]})" if table in reads else table)
    return ", ".join(texts) or "no other table"


def find_likely_inputs(tables: Path, name: str) -> set[str]:
    """The tables that the query names where relations stand."""
    try:
        query = (tables / name / "query.sql").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return set()
    words: set[str] = set()
    for match in _RELATIONS.finditer(_COMMENT.sub(" ", query)):
        words.update(word.lower() for word in _FIRST_WORDS.findall(match[1]))
    return {word for word in words - {name} if (tables / word).is_dir()}
