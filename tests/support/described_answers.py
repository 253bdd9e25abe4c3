"""Whether the answers of an API are what its description says."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from jsonschema import Draft202012Validator


class Description:
    """A description in OpenAPI 3.1, whose schemas are those of JSON Schema 2020-12."""

    def __init__(self, described: Mapping[str, Any]) -> None:
        self._described = described
        assert str(described["openapi"]).startswith("3.1")
        for schema in described["components"]["schemas"].values():
            Draft202012Validator.check_schema(schema)

    @property
    def operations(self) -> set[tuple[str, str]]:
        """Each method and path that it names."""
        return {(method, path) for path, operations in self._described["paths"].items() for method in operations}

    def faults(self, method: str, path: str, status: int, answer: Any) -> list[str]:
        """What of the answer is not as described; ``path`` is that of a request, without its query."""
        operation = self._operation(method, path.partition("?")[0])
        content = operation["responses"][str(status)]["content"]["application/json"]
        schema = {**content["schema"], "components": self._described["components"]}
        return [error.message[:300] for error in Draft202012Validator(schema).iter_errors(answer)]

    def _operation(self, method: str, path: str) -> Any:
        # The fewest parameters first: `/days/{day}` would fit much.
        for pattern in sorted(self._described["paths"], key=lambda pattern: pattern.count("{")):
            expression = re.sub(r"\{(\w+)\}", r"[^/]+", pattern)
            if re.fullmatch(expression, path) and method.lower() in self._described["paths"][pattern]:
                return self._described["paths"][pattern][method.lower()]
        raise AssertionError(f"{method} {path} is not described")
