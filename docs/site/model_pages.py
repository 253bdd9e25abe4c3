"""The reference of what people write: settings, the request, and the files of a table."""

from __future__ import annotations

from docs.site.fields import DEFAULT, meaning_of, table_of, written
from docs.site.markdown import table
from reloads.requests.request_file import json_schema
from reloads.settings import PREFIX, Settings
from reloads.tables.definition import CheckSettings, TableSettings
from reloads.tables.file_sources import FileSource
from reloads.tables.parameters import Parameter


def settings_page() -> str:
    """Every variable of the environment."""
    variables = table_of(Settings, "variable", name_of=lambda name: PREFIX + name.upper())
    return f"""\
# Settings

These are environment variables of the Airflow processes and of the command `reloads`. Relative folders are taken from
`RELOADS_HOME`. An unknown name that begins with `RELOADS_` is an error. [Operations](../operations.md#settings) says
where to set them.

{variables}
"""


def request_page() -> str:
    """Every field of a request."""
    schema = json_schema()["anyOf"][0]
    rows = []
    for name, field in schema["properties"].items():
        told = field["description"].partition(DEFAULT)[2]
        default = "required" if name in schema["required"] else told or written(field.get("default"))
        rows.append((f"`{name}`", default, meaning_of(field["description"])))
    return f"""\
# The request

A request file holds one JSON object with these fields, or a list of them. [Requests](../requests.md) says where to put
it, what the rules are and what becomes of it. `schemas/request.schema.json` holds the same for editors, and
`reloads check FILE` judges a file.

{table(("field", "default", "meaning"), rows)}

"""


def table_page() -> str:
    """Every setting in the files of a table."""
    return f"""\
# The files of a table

[Tables](../tables.md) explains these settings and adds a table step by step.

## `table.toml`

{table_of(TableSettings, "setting", is_toml=True)}

### `[parameters.NAME]`

{table_of(Parameter, "setting", is_toml=True)}

### `[checks.NAME]`

{table_of(CheckSettings, "setting", is_toml=True)}

## `sources.toml`

Each section describes the raw files of a day, and gives their list its name for `getvariable('NAME')`.

{table_of(FileSource, "setting", is_toml=True)}
"""
