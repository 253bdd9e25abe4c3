"""The client of an object store: how it is opened, and what its errors say to a person."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from reloads.errors import OperatorError, one_line, shorten
from reloads.stores.credentials import find_credentials, no_credentials, was_never_asked

if TYPE_CHECKING:
    from obstore.store import ObjectStore as Client


@lru_cache(maxsize=16)
def connect(url: str, process: int) -> Client:
    """The client of that URL, of this process; raises ``OperatorError`` where it cannot be one."""
    try:
        from obstore.exceptions import BaseError
        from obstore.store import from_url

        credentials = find_credentials(url, process)
    except ImportError as error:
        raise _missing(url) from error
    options: dict[str, Any] = {
        "client_options": {"allow_http": is_plain_http(), "timeout": "60s"},
        "retry_config": {"max_retries": 10, "retry_timeout": timedelta(minutes=3)},
    }
    if credentials:
        options["credential_provider"] = credentials
    try:
        return from_url(url, **options)
    except BaseError as error:
        raise OperatorError(f"{url} cannot be opened ({_reason(error)}); write one like s3://bucket/prefix") from error


def is_plain_http() -> bool:
    """Whether who set the endpoint wants no TLS."""
    endpoints = (os.environ.get(name, "") for name in ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"))
    return any(endpoint.startswith("http://") for endpoint in endpoints)


@contextmanager
def as_operator_error(url: str) -> Iterator[None]:
    """Turn what the client raises into a sentence, but for an object that is not there, or there already."""
    try:
        from obstore.exceptions import (
            AlreadyExistsError,
            BaseError,
            InvalidPathError,
            PermissionDeniedError,
            PreconditionError,
            UnauthenticatedError,
        )
    except ImportError as error:
        raise _missing(url) from error
    try:
        yield
    except (AlreadyExistsError, PreconditionError, FileNotFoundError):
        raise
    except (PermissionDeniedError, UnauthenticatedError) as error:
        if was_never_asked(error):
            raise no_credentials(url, error) from error
        raise _refused(url, error) from error
    except InvalidPathError as error:
        raise OperatorError(f"{url} holds an object whose name cannot be read ({_reason(error)}); rename it") from error
    except BaseError as error:
        # A refused list has no error of its own.
        if "403 Forbidden" in str(error):
            raise _refused(url, error) from error
        raise OperatorError(f"{url} does not answer ({_reason(error)}); see that it can be reached") from error


def _refused(url: str, error: Exception) -> OperatorError:
    cure = "give AWS tools credentials that may list and read there, and write and delete if it is the warehouse"
    return OperatorError(f"{url} refuses access ({_reason(error)}); {cure}")


def _reason(error: Exception) -> str:
    """What the client says went wrong, without the request and the advice for programmers."""
    text = one_line(str(error).partition("Debug source:")[0])
    return shorten(text.rpartition(" - ")[2] or text, 160)


def _missing(url: str) -> OperatorError:
    return OperatorError(f"{url} is an object store and the package for that is missing; install reloads[store]")
