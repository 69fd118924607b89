"""Who may log in: a file of `name:hash` lines, the hashes by scrypt (RFC 7914)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import re
import secrets
import threading
from dataclasses import dataclass
from pathlib import Path

from echo_scp.errors import ConfigurationError

MINIMUM_LENGTH = 10  # of a password
_LONGEST = 1024  # of what is hashed
_COST, _BLOCK, _LANES = 1 << 15, 8, 1  # 32 MB and a tenth of a second a try
_MEMORY_BYTES = 64 * 1048576
_NAME = re.compile(r"[A-Za-z0-9_.@-]{1,64}")
_HEAD = "# Users of the status page: name:hash. Kept by 'echo-scp users'.\n"


@dataclass(frozen=True, slots=True)
class User:
    """A name and what its password hashes to; another password makes another value."""

    name: str
    password_hash: str


def hash_password(password: str, salt: bytes | None = None) -> str:
    """Return `scrypt$N$r$p$salt$key`, salt and key in base64."""
    salt = secrets.token_bytes(16) if salt is None else salt
    parts = ("scrypt", str(_COST), str(_BLOCK), str(_LANES), _base64(salt), _base64(_derive(password, salt)))
    return "$".join(parts)


def is_password(password: str, password_hash: str) -> bool:
    """Tell whether a password has this hash; a hash of another kind has no password."""
    parts = password_hash.split("$")
    if len(password) > _LONGEST or parts[:4] != ["scrypt", str(_COST), str(_BLOCK), str(_LANES)] or len(parts) != 6:
        return False
    try:
        salt = base64.b64decode(parts[4], validate=True)
    except ValueError:
        return False
    return hmac.compare_digest(_base64(_derive(password, salt)).encode(), parts[5].encode())


class Users:
    """The file, read again when it changes. Safe for threads."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._one_at_a_time = threading.Lock()  # a flood of attempts must not take the cores and the memory
        self._nobody = hash_password(secrets.token_hex())

    def find(self, name: str) -> User | None:
        """Return the user of this name. Raises ConfigurationError when the file cannot be read."""
        password_hash = read_users(self._path).get(name)
        return None if password_hash is None else User(name, password_hash)

    def log_in(self, name: str, password: str) -> User | None:
        """Return the user if this is the password; takes as long when there is no such user."""
        user = self.find(name)
        with self._one_at_a_time:
            right = is_password(password, self._nobody if user is None else user.password_hash)
        return user if right else None


def read_users(path: Path) -> dict[str, str]:
    """Return the hash of each name. Raises ConfigurationError that names file and line."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"web.auth: {path} cannot be read: {error}") from error
    users = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.startswith("#"):
            continue
        name, separator, password_hash = line.strip().partition(":")
        if not separator or not _NAME.fullmatch(name):
            raise ConfigurationError(f"web.auth: {path}, line {number}: expected name:hash, as echo-scp users writes")
        users[name] = password_hash
    return users


def set_user(path: Path, name: str, password: str) -> None:
    """Give a user a password, in a file that is not for everybody. Raises ConfigurationError."""
    if not _NAME.fullmatch(name):
        raise ConfigurationError(f"user name {name!r}: expected 1 to 64 letters, digits, '_', '.', '@' and '-'")
    if not MINIMUM_LENGTH <= len(password) <= _LONGEST:
        raise ConfigurationError(f"password: expected {MINIMUM_LENGTH} to {_LONGEST} characters")
    users = read_users(path) if path.exists() else {}
    _write(path, users | {name: hash_password(password)})


def remove_user(path: Path, name: str) -> None:
    """Take a user away; who is logged in under the name is logged out. Raises ConfigurationError."""
    users = read_users(path)
    if users.pop(name, None) is None:
        raise ConfigurationError(f"{path}: there is no user {name}")
    _write(path, users)


def _write(path: Path, users: dict[str, str]) -> None:
    """Replace the file as a whole; mode and owner of an earlier one stay."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    text = _HEAD + "".join(f"{name}:{password_hash}\n" for name, password_hash in sorted(users.items()))
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            if path.exists():
                earlier = path.stat()
                os.fchmod(descriptor, earlier.st_mode & 0o777)
                os.fchown(descriptor, earlier.st_uid, earlier.st_gid)
            elif os.geteuid() == 0:  # root sets the users; the node, whose group the folder has, logs them in
                os.fchown(descriptor, -1, path.parent.stat().st_gid)
                os.fchmod(descriptor, 0o640)
            file.write(text)
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise ConfigurationError(f"web.auth: {path} cannot be written: {error.strerror}") from error


def _derive(password: str, salt: bytes) -> bytes:
    return hashlib.scrypt(
        password.encode("utf-8", "surrogatepass"),
        salt=salt,
        n=_COST,
        r=_BLOCK,
        p=_LANES,
        maxmem=_MEMORY_BYTES,
        dklen=32,
    )


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode()
