"""The file `.env`: what one deployment decides, and its passwords and keys, which are random and made once."""

from __future__ import annotations

import base64
import os
import re
import secrets
import socket
import string
from collections.abc import Callable, Mapping
from pathlib import Path

from local.files import write_private

LETTERS = string.ascii_letters + string.digits
HEADER = """\
# What this deployment decides. It holds passwords: keep it out of version control, and a copy in a safe place.
# The containers take it up at the next start.
"""
OPTIONS = """
# Other folders (default: those of the clone), and any other setting of the README:
# RELOADS_LANDING=/srv/reloads/landing
# RELOADS_WAREHOUSE=/srv/reloads/warehouse
# RELOADS_TABLES=/srv/reloads/tables
# RELOADS_SOURCE=/srv/reloads/source
# RELOADS_TIME_ZONE=Europe/Berlin
# Memory of the container that the tasks run in:
# SCHEDULER_MEMORY=4g
# A second stack on the same machine needs a name and a port of its own:
# COMPOSE_PROJECT_NAME=reloads
"""
# Only characters that need no quoting: neither here, nor in a database URL, nor in JSON.
VALUES: dict[str, Callable[[Mapping[str, str]], str]] = {
    "AIRFLOW_PORT": lambda _: str(free_port()),
    "AIRFLOW_UID": lambda environment: str(owner(environment)),
    "HISTORY_DAYS": lambda _: "90",
    "ADMIN_PASSWORD": lambda _: "".join(secrets.choice(LETTERS) for _ in range(16)),
    "POSTGRES_PASSWORD": lambda _: secrets.token_hex(24),
    "API_SECRET_KEY": lambda _: secrets.token_hex(32),
    "JWT_SECRET": lambda _: secrets.token_hex(32),
    "FERNET_KEY": lambda _: base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
}


def complete(path: Path, environment: Mapping[str, str]) -> list[str]:
    """Write the file, or add to it what it lacks; returns the names added. What it holds already stays as it is."""
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    known = set(re.findall(r"^\s*(?:export\s+)?(\w+)\s*=", text, re.MULTILINE))
    missing = [name for name in VALUES if name not in known]
    if missing:
        lines = "".join(f"{name}={VALUES[name](environment)}\n" for name in missing)
        rest = text if text.endswith("\n") or not text else f"{text}\n"
        write_private(path, rest + lines if text else HEADER + lines + OPTIONS)
    return missing


def owner(environment: Mapping[str, str]) -> int:
    """Whose files landing and warehouse hold: the invoking user's, but never root's."""
    return int(environment.get("SUDO_UID", 0)) or os.getuid() or 50000


def free_port() -> int:
    """8080, or the next one that nobody listens on."""
    for port in range(8080, 8180):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return port
    return 8080
