"""Rounds in which every peer rewrites the same days, one after the other, and what each wrote is looked at."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.figures import Figure
from benchmarks.peers.readings import FOLDER, Span, Totals, copy_plainly, expected_totals, file_totals, write_shift


class NotInstalledError(Exception):
    """``str(error)`` is the sentence to show: which peer is not measured, and why."""


@dataclass(frozen=True)
class Peer:
    """Somebody who can rewrite the days."""

    name: str
    note: str
    """How it is asked to, and what it writes."""
    load: Callable[[], None]
    """Installs what it needs, and writes the days for the first time; not timed. Raises ``NotInstalledError``."""
    reload: Callable[[], None]
    """Writes them again, as its user would have it do."""
    totals: Callable[[], Totals]
    """What it wrote."""
    get_ready: Callable[[], None] = lambda: None
    """What has to be before it can reload; not timed."""


def time_rounds(peers: Sequence[Peer], span: Span, *, rounds: int) -> tuple[tuple[Figure, ...], tuple[str, ...]]:
    """The seconds of each peer beside plain DuckDB's, a value a round, and the notes on all of them.

    One that cannot be installed has a note and no figure. Raises ``SystemExit`` with a sentence when one of them wrote
    other rows than it should.
    """
    plain = _plain(span)
    write_shift(0)
    expected = expected_totals(span)
    everybody, notes = [], []
    for peer in (plain, *peers):
        try:
            peer.load()
        except NotInstalledError as error:
            notes.append(f"not measured: {peer.name}, because {error}")
            continue
        _check(peer, expected)
        everybody.append(peer)
        notes.append(peer.note)
    seconds: dict[str, list[float]] = {peer.name: [] for peer in everybody}
    for number in range(1, rounds + 1):
        write_shift(number)
        expected = expected_totals(span)
        for peer in everybody:
            peer.get_ready()
            seconds[peer.name].append(_measure(peer.reload))
            _check(peer, expected)
            print(f"round {number}: {peer.name} {seconds[peer.name][-1]:.1f} s", flush=True)
    figures = [Figure(plain.name, tuple(seconds[plain.name]))]
    for peer in everybody[1:]:
        figures.append(Figure(peer.name, tuple(seconds[peer.name]), reference=plain.name))
    return tuple(figures), tuple(notes)


def _plain(span: Span) -> Peer:
    target = FOLDER / "plain"

    def remove() -> None:
        shutil.rmtree(target, ignore_errors=True)

    def copy() -> None:
        copy_plainly(span, target)

    name = f"plain DuckDB COPY of {span.days} days"
    note = "A day has 100,000 rows, with other values each round. Plain DuckDB is a process with one `COPY`."
    return Peer(name, note, load=copy, reload=copy, totals=lambda: file_totals(target), get_ready=remove)


def _measure(act: Callable[[], None]) -> float:
    os.sync()  # so that it does not pay for what the last one wrote
    begun = time.monotonic()
    act()
    return time.monotonic() - begun


def _check(peer: Peer, expected: Totals) -> None:
    written = peer.totals()
    if written != expected:
        raise SystemExit(f"{peer.name} wrote {written}, which should be {expected}; its time says nothing")
