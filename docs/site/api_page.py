"""The reference of the Warehouse page's API, from its OpenAPI description."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from docs.site.markdown import table
from reloads.airflow.page.app import make_app
from reloads.airflow.page.plugin import PREFIX
from reloads.airflow.page.refusals import REFUSALS

Schema = Mapping[str, Any]


def api_page() -> str:
    """Every operation, and every object that is sent or answered."""
    description = make_app().openapi()
    operations = []
    for path, methods in description["paths"].items():
        for method, operation in methods.items():
            operations.append(_operation(f"{method.upper()} {PREFIX}{path}", operation))
    schemas = description["components"]["schemas"]
    # What FastAPI adds by itself for a wrong call is never answered: ours is a sentence.
    objects = [_object(name, schema) for name, schema in schemas.items() if not name.endswith("ValidationError")]
    return "\n".join([_introduction(), "## Calls\n", *operations, "## Objects\n", *objects])


def _introduction() -> str:
    return f"""\
# The page's API

Programs send Airflow's token, as [the Warehouse page](../page.md#the-api) shows. A running Airflow answers this
description at `{PREFIX}/openapi.json`. Whatever is not data is [Refused](#refused), with one of these codes:

{_refusals()}
"""


def _refusals() -> str:
    rows = [(f"`{code}`" if code != "default" else "`500`", each["description"]) for code, each in REFUSALS.items()]
    return table(("code", "meaning"), rows)


def _operation(heading: str, operation: Schema) -> str:
    parts = [f"### `{heading}`\n", f"{operation.get('description', operation['summary'])}\n"]
    if parameters := operation.get("parameters"):
        rows = [
            (f"`{each['name']}`", each["in"], _type(each["schema"]), _meaning({**each["schema"], **each}))
            for each in parameters
        ]
        parts.append(table(("parameter", "in", "type", "meaning"), rows) + "\n")
    if "requestBody" in operation:
        parts.append(f"Send: {_body(operation['requestBody'])}\n")
    for code, answer in operation["responses"].items():
        if code.isdigit() and int(code) < HTTPStatus.BAD_REQUEST:
            parts.append(f"Answer: `{code}` {_body(answer)}\n")
    return "\n".join(parts)


def _object(name: str, schema: Schema) -> str:
    required = schema.get("required", ())
    rows = [
        (f"`{field}`{'' if field in required else ' (optional)'}", _type(each), _meaning(each))
        for field, each in schema.get("properties", {}).items()
    ]
    text = [f"### {name}\n"]
    if "description" in schema:
        text.append(f"{schema['description']}\n")
    if rows:
        text.append(table(("field", "type", "meaning"), rows) + "\n")
    return "\n".join(text)


def _body(holder: Schema) -> str:
    [content] = holder.get("content", {"": {"schema": {}}}).values()
    return _type(content["schema"])


def _type(schema: Schema) -> str:
    """The type of a value in words; an object of ours links to its table."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in schema:
        return " or ".join(_type(each) for each in schema["anyOf"])
    if values := schema.get("enum", [schema["const"]] if "const" in schema else []):
        return ", ".join(f"`{value}`" for value in values)
    kind = schema.get("type", "any value")
    if kind == "array":
        return f"list of {_type(schema.get('items', {}))}"
    if kind == "object" and isinstance(schema.get("additionalProperties"), Mapping):
        return f"object of {_type(schema['additionalProperties'])}"
    return str(schema.get("format", kind))


def _meaning(schema: Schema) -> str:
    meaning = str(schema.get("description", ""))
    if "default" in schema and schema["default"] not in (None, "", [], {}):
        meaning += f"{'; ' if meaning else ''}default: `{str(schema['default']).lower()}`"
    return meaning
