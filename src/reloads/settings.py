"""Settings, read from environment variables that start with ``RELOADS_``; this module is where they are defined.

Every setting has a default that works in a fresh clone. docs/operations.md lists them with the descriptions below.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from datetime import date, datetime
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, get_args
from urllib.parse import quote
from zoneinfo import ZoneInfo

import pendulum
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError
from pydantic_core import ErrorDetails

from reloads.errors import OperatorError, rule_of
from reloads.names import Names

PREFIX = "RELOADS_"
CRON_FIELDS = 5
PREFIX_OF_NAMES = re.compile(r"([a-z][a-z0-9_]{0,62})?")
CGROUP = Path("/sys/fs/cgroup")
"""Where Linux tells a container its limits."""

RENAMED = {"settle_seconds": "stable_seconds"}
"""Old names of settings that somebody may still set, and what they are called now."""

FOLDERS = ("landing", "warehouse", "tables", "source", "environments", "mirrors")
IN_STORES = ("warehouse", "source")
"""Those that may be URLs of object stores, for which folders of the same names stand."""

Event = Literal["failed", "refused", "rejected", "late", "done"]
"""What a message can be about."""

EVENTS: tuple[Event, ...] = get_args(Event)
NAMED_URL = re.compile(r"RELOADS_NOTIFY_(?!ON$)([A-Z][A-Z0-9_]{0,62})")
"""A variable that gives a URL for messages the name by which a table's settings ask for it."""

_URL = re.compile(r"[a-zA-Z][a-zA-Z0-9]*://\S+")


_RULES = {
    "int_parsing": "it is not a whole number; write one like 3",
    "float_parsing": "it is not a number; write one like 60",
    "finite_number": "it is not a number; write one like 60",
    "greater_than_equal": "it is less than {ge}; write a larger number",
    "greater_than": "it is not more than {gt}; write a larger number",
    "less_than_equal": "it is more than {le}; write a smaller number",
    "literal_error": "it is not one of {expected}; write one of them",
    "bool_parsing": "it is neither true nor false; write one of them",
}
"""What the value of a setting has to be, by the kind of fault that Pydantic finds."""


def _check_time_zone(name: object) -> object:
    # By pendulum, as Airflow reads the zone with it.
    if not isinstance(name, str) or name not in pendulum.timezones():
        raise ValueError("it is not an IANA time zone; write one like Europe/Berlin or UTC")
    return name


def _check_prefix(prefix: object) -> object:
    if not isinstance(prefix, str) or not PREFIX_OF_NAMES.fullmatch(prefix):
        raise ValueError("it is not lower case letters, digits and _ with a letter first; write one like reloads_")
    return prefix


def _check_cron(expression: object) -> object:
    fields = len(expression.split()) if isinstance(expression, str) else 0
    if fields != CRON_FIELDS and not str(expression).startswith("@"):
        raise ValueError(f"it has {fields} fields and a cron expression five; write one like '0 2 * * *'")
    return expression


def _check_urls(text: object) -> object:
    # The sentence holds no part of a URL, which is a secret.
    urls = text.split() if isinstance(text, str) else []
    for number, url in enumerate(urls, start=1):
        if not _URL.fullmatch(url):
            raise ValueError(f"URL {number} of {len(urls)} does not begin like json://; see the list of Apprise")
    return text


def _split_events(text: object) -> object:
    events = text.split() if isinstance(text, str) else text
    if isinstance(events, list):
        for event in events:
            if event not in EVENTS:
                raise ValueError(f"{event!r} is none of {', '.join(EVENTS)}; write some of them, with blanks between")
    return events


def _check_page_url(text: object) -> object:
    if not isinstance(text, str) or (text and not re.fullmatch(r"https?://\S+", text)):
        raise ValueError("it is not an address; write one like https://airflow.example.org")
    return text.rstrip("/")


class Settings(BaseModel):
    """What one deployment decides. Paths are absolute; relative ones are taken from ``home``."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    home: Path = Field(Path(), description="folder that holds the folders below; default: the working directory")
    landing: Path = Field(Path("landing"), description="drop folder")
    warehouse: Path = Field(
        Path("warehouse"),
        description="folder of the Parquet tables, or the URL of an object store: `s3://bucket/prefix`",
    )
    mirrors: Path = Field(
        Path(".local/mirrors"), description="folder of what this machine has of a warehouse in an object store"
    )
    tables: Path = Field(Path("tables"), description="folder of the table definitions")
    source: Path = Field(
        Path(".local/source"),
        description="folder of the raw files, or the URL of an object store: `s3://bucket/raw`; "
        "`getvariable('source')` in SQL",
    )
    environments: Path = Field(
        Path(".local/environments"), description="folder of the Python environments of tables with `requirements`"
    )
    prefix: Annotated[str, BeforeValidator(_check_prefix)] = Field(
        "",
        description="put before the name of each DAG and asset, like `reloads_`, where somebody else has these names",
    )
    time_zone: Annotated[str, BeforeValidator(_check_time_zone)] = Field(
        "UTC", description="IANA time zone that decides when a day begins"
    )
    daily_schedule: Annotated[str, BeforeValidator(_check_cron)] = Field(
        "0 2 * * *", description="cron expression of the daily load, in that time zone"
    )
    catch_up_days: int = Field(31, ge=1, le=4000, description="missed daily loads made up for after an outage, at most")
    rescan_seconds: float = Field(
        60, gt=0, le=86_400, description="how often the doorbell looks at the folders whatever it heard"
    )
    stable_seconds: float = Field(
        3, gt=0, le=86_400, description="a file that does not parse counts as complete after this rest"
    )
    observer: Literal["auto", "polling"] = Field(
        "auto", description="`polling` where the file system tells nothing (NFS, Docker Desktop mounts)"
    )
    sees_landing: bool = Field(
        True, description="`false` on a worker of another machine that has no drop folder; it rewrites, and no more"
    )
    tasks_at_once: int = Field(
        0, ge=0, description="batches that run at once on a machine and share its memory; default: its cores"
    )
    workers: int = Field(
        1, ge=1, le=1000, description="machines that rewrite, each as many batches at once as `RELOADS_TASKS_AT_ONCE`"
    )
    pool: str = Field(
        "default_pool", min_length=1, description="Airflow's pool of the rewrites, so that other tasks find a slot"
    )
    queue: str = Field(
        "", description="Airflow's queue of the rewrites, for workers that only rewrite; default: that of all tasks"
    )
    batch_minutes: float = Field(
        90,
        gt=0,
        le=10_000,
        description="minutes that a batch may take, or its days fail; Airflow's LocalExecutor kills a task after 100",
    )
    executor: str = Field(
        "",
        description="Airflow's executor of the rewrites, as in `[core] executor`, where they run on other machines; "
        "default: the first one there",
    )
    threads: int = Field(0, ge=0, description="threads of all batches of a run together; default: the cores")
    memory_mb: int = Field(
        0, ge=0, description="memory of all batches that run at once, together; default: 60 % of the machine's"
    )
    snapshots: Literal["none", "delta"] = Field(
        "none", description="`delta`: a Delta table over the files of each table, unless its `table.toml` says another"
    )
    retries: int = Field(3, ge=0, le=20, description="how often a task that met a broken environment is tried again")
    notify: Annotated[SecretStr, BeforeValidator(_check_urls)] = Field(
        SecretStr(""), exclude=True, description="Apprise URLs that get messages, with blanks between; default: none"
    )
    notify_on: Annotated[tuple[Event, ...], BeforeValidator(_split_events)] = Field(
        ("failed", "refused", "rejected", "late"),
        description="what they are about: some of `failed`, `refused`, `rejected`, `late`, `done`",
    )
    page_url: Annotated[str, BeforeValidator(_check_page_url)] = Field(
        "", description="address of Airflow for the links in messages; default: its `[api] base_url`"
    )

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Settings:
        """The settings that ``environment`` holds; raises ``OperatorError`` for an unknown name or a bad value."""
        texts = _own_texts(environment)
        home = Path(texts.get("home", ".")).absolute()
        try:
            settings = cls(**_without_empty(texts | {"home": str(home)}))
        except ValidationError as error:
            raise OperatorError(_describe_fault(error.errors()[0], texts)) from error
        folders = {name: home / getattr(settings, name) for name in FOLDERS}
        for name in IN_STORES:
            if "://" in texts.get(name, ""):
                # By its name a mirror knows what it is a mirror of, and those of two stores never mix.
                folders[name] = folders["mirrors"] / quote(texts[name].rstrip("/"), safe="")
        return settings.model_copy(update=folders | _machine_defaults(settings))

    @classmethod
    def find_faults(cls, environment: Mapping[str, str]) -> dict[str, str]:
        """A sentence for each variable that is not a setting or has a bad value; without them the others are good."""
        texts = _own_texts(environment)
        try:
            cls(**_without_empty(texts))
        except ValidationError as error:
            return {_variable_of(fault): _describe_fault(fault, texts) for fault in error.errors()}
        return {}

    @property
    def names(self) -> Names:
        """What the DAGs and assets of this deployment are called."""
        return Names(self.prefix)

    def require_landing(self) -> None:
        """Raise ``OperatorError`` where the drop folder is said not to be: what is to be done there is for others."""
        if not self.sees_landing:
            raise OperatorError(
                "RELOADS_SEES_LANDING=false says that this machine has no drop folder, and only batches are rewritten "
                "without it; run this where the drop folder is"
            )

    def notify_urls(self) -> list[SecretStr]:
        """The URLs that get the messages of all tables."""
        return [SecretStr(url) for url in self.notify.get_secret_value().split()]

    def day_of(self, moment: datetime) -> date:
        """The calendar day of an aware ``moment`` in the configured time zone."""
        return moment.astimezone(ZoneInfo(self.time_zone)).date()


def _own_texts(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables that are settings, by the names of settings."""
    texts: dict[str, str] = {}
    for variable, text in environment.items():
        if variable.startswith(PREFIX) and not NAMED_URL.fullmatch(variable):
            texts[variable.removeprefix(PREFIX).lower()] = text
    return texts


def named_urls(environment: Mapping[str, str]) -> dict[str, SecretStr]:
    """The URLs that tables ask for by a name: ``TEAM`` of ``RELOADS_NOTIFY_TEAM``; raises ``OperatorError``."""
    urls: dict[str, SecretStr] = {}
    for variable, text in environment.items():
        match = NAMED_URL.fullmatch(variable)
        if match and text:
            if not _URL.fullmatch(text):
                raise OperatorError(f"{variable} is not one URL like json://…; write one of those that Apprise knows")
            urls[match[1]] = SecretStr(text)
    return urls


def _without_empty(texts: Mapping[str, str]) -> dict[str, Any]:
    """The settings without the empty ones, which mean the default; an empty one of an unknown name stays an error."""
    return {name: text for name, text in texts.items() if text != "" or name not in Settings.model_fields}


def _machine_defaults(settings: Settings) -> dict[str, int]:
    """The settings whose default is what the machine has."""
    cores = _count_cores()
    return {
        "tasks_at_once": settings.tasks_at_once or cores,
        "threads": settings.threads or cores,
        "memory_mb": settings.memory_mb or int(_read_memory_bytes() * 0.6) // 2**20,
    }


def _count_cores() -> int:
    """The cores that this process may use, or what time of them the container has where that is less."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota, _, period = _read_limit("cpu.max").partition(" ")
    if not period:
        quota, period = _read_limit("cpu/cpu.cfs_quota_us"), _read_limit("cpu/cpu.cfs_period_us")
    # A container without a limit says "max" or -1.
    if quota.isdigit() and period.isdigit() and int(period):
        cores = min(cores, max(1, int(quota) // int(period)))
    return cores


def _read_memory_bytes() -> int:
    """The machine's memory, or the container's where that is less (cgroup v2, then v1)."""
    limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        text = _read_limit(name)
        if text.isdigit():  # a container without a limit says "max"
            limits.append(int(text))
    return min(limits)


def _read_limit(name: str) -> str:
    """What the container's limits say there; empty where they say nothing."""
    try:
        return (CGROUP / name).read_text().strip()
    except OSError:
        return ""


def _variable_of(fault: ErrorDetails) -> str:
    return PREFIX + str(fault["loc"][0]).upper()


def _describe_fault(fault: ErrorDetails, texts: Mapping[str, str]) -> str:
    field = str(fault["loc"][0])
    name = _variable_of(fault)
    if field in RENAMED:
        return f"{name} is called {PREFIX}{RENAMED[field].upper()} now; rename it"
    if fault["type"] == "extra_forbidden":
        if near := get_close_matches(field, Settings.model_fields, n=1):
            return f"{name} is not a setting; did you mean {PREFIX}{near[0].upper()}?"
        variables = ", ".join(PREFIX + setting.upper() for setting in Settings.model_fields)
        return f"{name} is not a setting; remove it or write one of {variables}"
    known_rule = _RULES.get(fault["type"])
    rule = known_rule.format(**fault.get("ctx", {})) if known_rule else rule_of(fault["msg"])
    shown = name if field == "notify" else f"{name}={texts.get(field)!r}"
    return f"{shown} is not valid: {rule}"
