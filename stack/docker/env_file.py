"""The file `.env`: what one deployment decides, and its passwords and keys, which are random and made once."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Mapping
from pathlib import Path

from stack.credentials import Credentials
from stack.docker.renamed_settings import why_refused
from stack.errors import StackError
from stack.files import write_private
from stack.loopback import is_port_free

HEADER = """\
# What this deployment decides. It holds passwords: keep it out of version control, and a copy in a safe place.
# The containers take it up at the next start.
"""
OPTIONS = """
# Other folders (default: those of the clone), and any other setting of the documents:
# RELOADS_LANDING=/srv/reloads/landing
# RELOADS_WAREHOUSE=/srv/reloads/warehouse
# RELOADS_TABLES=/srv/reloads/tables
# RELOADS_SOURCE=/srv/reloads/source
# RELOADS_TIME_ZONE=Europe/Berlin
# Memory of the container that the tasks run in, and of each worker, if `make stack WORKERS=2` makes some:
# SCHEDULER_MEMORY=4g
# WORKER_MEMORY=2g
# A second stack on the same machine needs a name and a port of its own:
# COMPOSE_PROJECT_NAME=reloads
"""
ASSIGNMENT = re.compile(r"^\s*(?:export\s+)?(\w+)\s*=[ \t]*(.*)$", re.MULTILINE)


def complete(path: Path, environment: Mapping[str, str]) -> list[str]:
    """Write the file, or add to it what it lacks; returns the names added. What it holds already stays as it is.

    Raises ``StackError`` if it, or ``environment``, sets something by a name that is another one now.
    """
    refuse_renamed(path, environment)
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    present = dict(ASSIGNMENT.findall(text))
    missing = {name: value for name, value in _fresh_values(environment).items() if name not in present}
    if missing:
        lines = "".join(f"{name}={value}\n" for name, value in missing.items())
        rest = text if text.endswith("\n") or not text else f"{text}\n"
        write_private(path, rest + lines if text else HEADER + lines + OPTIONS)
    return list(missing)


def read_values(path: Path) -> dict[str, str]:
    """What the file sets; nothing where it is not there."""
    return dict(ASSIGNMENT.findall(path.read_text(encoding="utf-8"))) if path.exists() else {}


def write_values(path: Path, values: Mapping[str, str]) -> None:
    """Set these variables in the file, each where it stands or at the end; all else stays as it is."""
    text = path.read_text(encoding="utf-8")
    before = text
    for name, value in values.items():
        line = f"{name}={value}"
        text, count = re.subn(rf"^\s*(?:export\s+)?{name}\s*=.*$", line, text, flags=re.MULTILINE)
        if not count and value:
            text += f"{line}\n" if text.endswith("\n") else f"\n{line}\n"
    if text != before:
        write_private(path, text)


def refuse_renamed(path: Path, environment: Mapping[str, str]) -> None:
    """Raise ``StackError`` where the file or ``environment`` sets something by a name that is another one now."""
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    if why := why_refused({**dict(ASSIGNMENT.findall(text)), **environment}):
        raise StackError(why)


def containers_user(environment: Mapping[str, str]) -> int:
    """Whose files landing and warehouse hold: the invoking user's, but never root's."""
    return int(environment.get("SUDO_UID", 0)) or os.getuid() or 50000


def _fresh_values(environment: Mapping[str, str]) -> dict[str, str]:
    credentials = Credentials.generate()
    return {
        "AIRFLOW_PORT": str(_free_port()),
        "AIRFLOW_UID": str(containers_user(environment)),
        "AIRFLOW_HISTORY_DAYS": "90",
        "ADMIN_PASSWORD": credentials.admin,
        "POSTGRES_PASSWORD": credentials.database,
        "REDIS_PASSWORD": secrets.token_hex(24),
        "API_SECRET_KEY": credentials.api_secret_key,
        "JWT_SECRET": credentials.jwt_secret,
        "FERNET_KEY": credentials.fernet_key,
    }


def _free_port() -> int:
    """8080, or the next one that nobody listens on."""
    for port in range(8080, 8180):
        if is_port_free(port):
            return port
    return 8080
