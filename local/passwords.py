"""The passwords and keys of one stack: made once, kept in ``.local/secrets.json``."""

from __future__ import annotations

import base64
import json
import secrets
import string
from dataclasses import asdict, dataclass
from pathlib import Path

from local.errors import LocalError
from local.files import write_private


@dataclass(frozen=True)
class Passwords:
    """All of them are random and of characters that need no quoting anywhere."""

    admin: str
    database: str
    supervisor: str
    api_secret_key: str
    jwt_secret: str
    fernet_key: str

    @classmethod
    def generate(cls) -> Passwords:
        """Fresh ones; the admin's, which a person types, is shorter (95 bits)."""
        letters = string.ascii_letters + string.digits
        return cls(
            admin="".join(secrets.choice(letters) for _ in range(16)),
            database=secrets.token_hex(24),
            supervisor=secrets.token_hex(24),
            api_secret_key=secrets.token_hex(32),
            jwt_secret=secrets.token_hex(32),
            fernet_key=base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        )

    @classmethod
    def kept_in(cls, path: Path) -> Passwords:
        """Those in the file; where there is none, fresh ones that are written to it (mode 0600)."""
        try:
            return cls(**json.loads(path.read_text(encoding="utf-8")))
        except FileNotFoundError:
            passwords = cls.generate()
            write_private(path, json.dumps(asdict(passwords), indent=2) + "\n")
            return passwords
        except (ValueError, TypeError) as error:
            raise LocalError(f"{path} is not readable ({error}); delete the folder .local to start afresh") from error
