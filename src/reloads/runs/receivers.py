"""Who gets which messages: the URLs of the settings get those of all tables, and those that a table names, its own.

A URL holds secrets. It is called by its variable and its place there, wherever one is named.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pydantic import SecretStr

from reloads.runs.messages import Message
from reloads.settings import Event, Settings, named_urls
from reloads.tables.definition import Table


@dataclass(frozen=True)
class Receiver:
    """One URL."""

    name: str
    """What it is called; no part of it is a secret."""
    url: SecretStr


@dataclass(frozen=True)
class Receivers:
    """All receivers of one deployment."""

    of_all: tuple[Receiver, ...]
    by_table: Mapping[str, tuple[Receiver, ...]]
    events_by_table: Mapping[str, tuple[Event, ...]]
    default_events: tuple[Event, ...]
    unknown: Mapping[str, tuple[str, ...]]
    """The names of URLs that a table asks for and nobody set, by table."""

    @classmethod
    def of(cls, settings: Settings, tables: Iterable[Table], environment: Mapping[str, str]) -> Receivers:
        """Those that settings and tables name; raises ``OperatorError`` for a variable that is not a URL."""
        named = {name: Receiver(f"RELOADS_NOTIFY_{name}", url) for name, url in named_urls(environment).items()}
        urls = settings.notify_urls()
        of_all = [Receiver(f"URL {place} of RELOADS_NOTIFY", url) for place, url in enumerate(urls, start=1)]
        by_table: dict[str, tuple[Receiver, ...]] = {}
        events: dict[str, tuple[Event, ...]] = {}
        unknown: dict[str, tuple[str, ...]] = {}
        for table in tables:
            names = dict.fromkeys(table.settings.notify)
            by_table[table.name] = tuple(named[name] for name in names if name in named)
            unknown[table.name] = tuple(name for name in names if name not in named)
            if table.settings.notify_on is not None:
                events[table.name] = tuple(table.settings.notify_on)
        return cls(tuple(of_all), by_table, events, settings.notify_on, unknown)

    def all(self) -> list[Receiver]:
        """Each of them once."""
        receivers = list(self.of_all)
        for of_table in self.by_table.values():
            receivers += of_table
        return list({receiver.name: receiver for receiver in receivers}.values())

    def events(self) -> set[Event]:
        """What somebody wants to hear of."""
        wanted: set[Event] = set(self.default_events if self.of_all else ())
        for table, receivers in self.by_table.items():
            if receivers or self.of_all:
                wanted.update(self.events_by_table.get(table, self.default_events))
        return wanted

    def of_message(self, message: Message) -> list[Receiver]:
        """Who gets it, each once."""
        table = message.table or ""
        if message.events.isdisjoint(self.events_by_table.get(table, self.default_events)):
            return []
        receivers = {receiver.url: receiver for receiver in (*self.of_all, *self.by_table.get(table, ()))}
        return list(receivers.values())
