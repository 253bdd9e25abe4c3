"""The passwords and keys of a stack: random, made once, and of characters that need no quoting anywhere."""

from __future__ import annotations

import base64
import json
import secrets
import string
from dataclasses import asdict, dataclass
from pathlib import Path

from stack.errors import StackError
from stack.files import write_private

LETTERS = string.ascii_letters + string.digits
USER = "admin"
"""Who logs in to the user interface; the shared settings of Airflow name the same one."""


@dataclass(frozen=True)
class Credentials:
    """All that a stack needs. Without containers they lie in `.local/secrets.json`, with containers in `.env`."""

    admin: str
    database: str
    supervisor: str
    api_secret_key: str
    jwt_secret: str
    fernet_key: str

    @classmethod
    def generate(cls) -> Credentials:
        """Fresh ones; the admin's, which a person types, is shorter (95 bits)."""
        return cls(
            admin="".join(secrets.choice(LETTERS) for _ in range(16)),
            database=secrets.token_hex(24),
            supervisor=secrets.token_hex(24),
            api_secret_key=secrets.token_hex(32),
            jwt_secret=secrets.token_hex(32),
            fernet_key=base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        )

    @classmethod
    def kept_in(cls, path: Path) -> Credentials:
        """Those in the JSON file; where there is none, fresh ones that are written to it (mode 0600)."""
        try:
            return cls(**json.loads(path.read_text(encoding="utf-8")))
        except FileNotFoundError:
            credentials = cls.generate()
            write_private(path, json.dumps(asdict(credentials), indent=2) + "\n")
            return credentials
        except (ValueError, TypeError) as error:
            raise StackError(f"{path} is not readable ({error}); delete the folder .local to start afresh") from error
