"""No DAG: the import error of this file shows which table folders are broken; the other tables keep working."""

# Airflow opens only files that hold both words, "airflow" and "dag".
from __future__ import annotations

import os

from reloads.inspection.check_tables import check_tables
from reloads.settings import Settings

check_tables(Settings.from_environment(os.environ))
