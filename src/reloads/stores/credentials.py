"""The credentials for an object store in AWS, found as its tools find them; none that expired is used.

In the environment, by a profile or single sign-on, by the role of a container, or by that of an instance. They stand in
no file and no message of ours. Where there are none, that is known within seconds.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import lru_cache
from typing import TYPE_CHECKING

from reloads.errors import OperatorError, one_line, shorten

if TYPE_CHECKING:
    from obstore.auth.boto3 import Boto3CredentialProvider

PROVIDER = "External AWS credential provider: "
"""Behind that the client of the store says what boto3 raised."""


@lru_cache(maxsize=16)
def find_credentials(url: str, process: int) -> Boto3CredentialProvider | None:  # noqa: ARG001 - a key of the cache
    """What the client of that store asks for credentials at each request; None where it reads the environment itself.

    Raises ``OperatorError`` where there are none, and ``ImportError`` where boto3 is missing.
    """
    has_keys = os.environ.get("AWS_ACCESS_KEY_ID") and os.environ.get("AWS_SECRET_ACCESS_KEY")
    if has_keys or not url.startswith("s3://"):
        return None
    import boto3
    from obstore.auth.boto3 import Boto3CredentialProvider

    # What it has to say of credentials, with a traceback, is said in one sentence where it matters.
    logging.getLogger("botocore.credentials").setLevel(logging.CRITICAL)
    with _as_operator_error(url):
        session = boto3.Session()
        if session.get_credentials() is None:
            raise no_credentials(url, "the environment has none, and neither a profile nor a role gives any")
        # Only boto3 knows when they expire: the client kept what it got for half an hour, whatever was left of it.
        return Boto3CredentialProvider(session, ttl=timedelta())


def keys_for_now(url: str) -> dict[str, str]:
    """Credentials that hold for the next minutes, by their names in the environment; none where they stand there."""
    provider = find_credentials(url, os.getpid())
    if provider is None:
        return {}
    with _as_operator_error(url):
        keys = provider()
    named = {"AWS_ACCESS_KEY_ID": keys["access_key_id"], "AWS_SECRET_ACCESS_KEY": keys["secret_access_key"]}
    return named | ({"AWS_SESSION_TOKEN": keys["token"]} if keys["token"] else {})


def was_never_asked(error: Exception) -> bool:
    """Whether the client had no credentials to ask the store with, and not the store refused them."""
    return PROVIDER in str(error)


def no_credentials(url: str, reason: object) -> OperatorError:
    """The sentence for that."""
    text = one_line(str(reason).partition("Debug source:")[0])
    cure = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or give this machine a role"
    why = shorten(text.rpartition(PROVIDER)[2], 160)
    return OperatorError(f"{url} needs credentials, and there are none ({why}); {cure}")


@contextmanager
def _as_operator_error(url: str) -> Iterator[None]:
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except (BotoCoreError, ClientError, LookupError, OSError, RuntimeError, ValueError) as error:
        # Among them, a file with a token that is missing must not pass for an object that is missing.
        raise no_credentials(url, error) from error
