"""The command that says what is wrong, and what to do: doctor."""

from __future__ import annotations

import os

from reloads.cli.answer import Answer, Column, Grid, Lines, Row, count
from reloads.cli.console import current_time
from reloads.cli.exit_codes import Exit
from reloads.inspection.doctor.examination import examine

COLUMNS = (Column("state"), Column("about"))
WORDS = {"good": "good", "warning": "warning", "unknown": "not seen", "wrong": "wrong"}


def doctor() -> Answer:
    """Say what is wrong with a deployment, and what to do.

    Tries folders, file events, clock, versions, settings, tables and Airflow. Exit code 1 if something is wrong.
    """
    findings = list(examine(os.environ, now=current_time()))
    rows = [Row((WORDS[finding.level], finding.about), (finding.sentence,)) for finding in findings]
    wrong = sum(finding.level == "wrong" for finding in findings)
    summary = f"{count(wrong, 'thing')} to mend" if wrong else "nothing is wrong"
    values = [vars(finding) for finding in findings]
    return Answer({"findings": values}, [Grid(COLUMNS, rows), Lines([summary])], Exit.FAILED if wrong else Exit.DONE)


COMMANDS = {doctor: [("doctor", "what is wrong, and what to do"), ("doctor --json", "for a monitor")]}
