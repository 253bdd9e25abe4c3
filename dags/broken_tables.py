"""This file defines no DAG: its import error shows which table folders are broken, while the other tables keep working."""

from __future__ import annotations

import os

from reloads.check import check_tables
from reloads.settings import Settings

check_tables(Settings.from_environment(os.environ))
