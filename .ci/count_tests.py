"""Print what pytest's JUnit report counts: ``python count_tests.py REPORT``; the exit code is 1 if there is none."""

from __future__ import annotations

import sys
from pathlib import Path
from xml.etree import ElementTree as ET


def count(report: str) -> str:
    """How many tests passed, failed (errors of fixtures included) and were skipped."""
    total = failed = skipped = 0
    for suite in ET.fromstring(report).iter("testsuite"):  # noqa: S314 - written by pytest just now
        total += int(suite.get("tests", 0))
        failed += int(suite.get("failures", 0)) + int(suite.get("errors", 0))
        skipped += int(suite.get("skipped", 0))
    return f"{total - failed - skipped} passed, {failed} failed, {skipped} skipped"


def main(path: Path) -> int:
    """Print the line."""
    if not path.is_file():
        print("no test ran: something before the tests failed")
        return 1
    print(count(path.read_text(encoding="utf-8")))
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
