"""What the suite found last: `results.json`, and the tables that `RESULTS.md` shows of it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.figures import Figure, Part
from benchmarks.print_part import draw_table

FOLDER = Path(__file__).parent
FILE, DOCUMENT = FOLDER / "results.json", FOLDER / "RESULTS.md"
BEGIN, END = "<!-- written by make bench -->", "<!-- end of what make bench writes -->"


@dataclass(frozen=True)
class Machine:
    """Where, when and with what a part was measured."""

    date: str
    machine: str
    versions: dict[str, str]

    def describe(self) -> str:
        """In one line."""
        return f"{self.date}, {self.machine}, {', '.join(f'{name} {text}' for name, text in self.versions.items())}"


@dataclass(frozen=True)
class Result:
    """A part, and where it was measured."""

    part: Part
    machine: Machine


def read_results(file: Path = FILE) -> dict[str, Result]:
    """What was found of each part, in the order in which they were first measured."""
    if not file.exists():
        return {}
    results: dict[str, Result] = {}
    for name, value in json.loads(file.read_text(encoding="utf-8")).items():
        figures = tuple(Figure(**figure | {"values": tuple(figure["values"])}) for figure in value["part"]["figures"])
        part = Part(name, value["part"]["title"], figures, tuple(value["part"]["notes"]))
        results[name] = Result(part, Machine(**value["machine"]))
    return results


def write_results(part: Part, *, machine: Machine, file: Path = FILE, document: Path = DOCUMENT) -> None:
    """Keep this part in place of the one of its name, and show all of them in the document."""
    results = read_results(file) | {part.name: Result(part, machine)}
    values = {name: asdict(result) for name, result in results.items()}
    file.write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")
    before, _, rest = document.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    tables = "\n\n".join(_show(result) for result in results.values())
    document.write_text(f"{before}{BEGIN}\n\n{tables}\n\n{END}{after}", encoding="utf-8")


def _show(result: Result) -> str:
    return f"### {result.part.title}\n\n{result.machine.describe()}.\n\n{draw_table(result.part)}"
