"""What the server answers instead of data: a status, and one sentence under ``detail``."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from reloads.errors import ReloadsError, RequestError, one_line, rule_of, shorten


class Refusal(HTTPException):
    """An answer other than data."""


class Refused(BaseModel):
    """The body of every answer other than data."""

    detail: str = Field(description="one sentence: the value, the rule, the cure")


REFUSALS: dict[int | str, dict[str, Any]] = {
    400: {"model": Refused, "description": "the request breaks a rule"},
    401: {"model": Refused, "description": "there is no login"},
    403: {"model": Refused, "description": "the user may not do that, or another site asks"},
    404: {"model": Refused, "description": "it is unknown, or the user may not see it"},
    409: {"model": Refused, "description": "it cannot be done now"},
    "default": {"model": Refused, "description": "the server failed"},
}
"""How the description of the API tells of them."""


def not_found(sentence: str) -> Refusal:
    """What is asked for is unknown, or must not be seen."""
    return Refusal(HTTPStatus.NOT_FOUND, sentence)


def forbidden(sentence: str) -> Refusal:
    """The user may see it, and not do that."""
    return Refusal(HTTPStatus.FORBIDDEN, sentence)


def bad_request(sentence: str) -> Refusal:
    """The request breaks a rule."""
    return Refusal(HTTPStatus.BAD_REQUEST, sentence)


def conflict(sentence: str) -> Refusal:
    """It cannot be done as things are."""
    return Refusal(HTTPStatus.CONFLICT, sentence)


def answer_errors(app: FastAPI) -> None:
    """Make each error of ours one sentence: a broken rule of the request, or something that stands in the way now."""

    @app.exception_handler(ReloadsError)
    def answer(_request: Request, error: ReloadsError) -> JSONResponse:
        status = HTTPStatus.BAD_REQUEST if isinstance(error, RequestError) else HTTPStatus.CONFLICT
        return JSONResponse({"detail": str(error)}, status)

    @app.exception_handler(RequestValidationError)
    def explain(_request: Request, error: RequestValidationError) -> JSONResponse:
        return JSONResponse({"detail": _describe_fault(error)}, HTTPStatus.BAD_REQUEST)


def _describe_fault(error: RequestValidationError) -> str:
    first = error.errors()[0]
    if first["type"] == "json_invalid":
        return f"the body is not JSON ({one_line(first['ctx']['error'])}); send one object"
    where = ".".join(str(part) for part in first["loc"][1:]) or "the body"
    message = rule_of(first["msg"])
    if first["type"] == "missing":
        return f"{where} is missing; send it as /reloads/openapi.json describes it"
    return f"{where} {shorten(ascii(first['input']))} is not valid ({message}); send it as /reloads/openapi.json says"
