"""Who is logged in, and how often a login may be tried. In memory: a restart of the node logs everyone out."""

from __future__ import annotations

import hashlib
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from echo_scp.web.users import User

LONGEST_S = 12 * 3600.0  # of a login, however busy
MOST_SESSIONS = 1000
WINDOW_S = 300.0
ATTEMPTS_BY_ADDRESS, ATTEMPTS_BY_NAME = 5, 20  # by name: from many addresses, without letting one lock the name out
MOST_KEYS = 10_000

Clock = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Session:
    """A login; `form_token` proves that a form came from a page of this session."""

    user: User
    form_token: str
    begun_s: float
    used_s: float


class Sessions:
    """Logins by the secret in the browser's cookie; of the secret only the hash is kept. Safe for threads."""

    def __init__(self, timeout_s: float, clock: Clock = time.monotonic) -> None:
        self._timeout_s = timeout_s
        self._clock = clock
        self._lock = threading.Lock()
        self._sessions: OrderedDict[str, Session] = OrderedDict()

    def begin(self, user: User) -> str:
        """Return the secret of a new login."""
        secret, now = secrets.token_urlsafe(32), self._clock()
        with self._lock:
            self._sessions[_hash(secret)] = Session(user, secrets.token_urlsafe(32), now, now)
            while len(self._sessions) > MOST_SESSIONS:
                self._sessions.popitem(last=False)
        return secret

    def find(self, secret: str) -> Session | None:
        """Return the login of a secret unless it has ended, and count this as its use."""
        key, now = _hash(secret), self._clock()
        with self._lock:
            session = self._sessions.pop(key, None)
            if session is None or now - session.used_s > self._timeout_s or now - session.begun_s > LONGEST_S:
                return None
            session = Session(session.user, session.form_token, session.begun_s, now)
            self._sessions[key] = session
            return session

    def end(self, secret: str) -> None:
        """Log out."""
        with self._lock:
            self._sessions.pop(_hash(secret), None)


class Attempts:
    """Failed logins of the last minutes. Safe for threads."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._failures: OrderedDict[str, tuple[float, ...]] = OrderedDict()

    def wait_s(self, address: str, name: str) -> float:
        """Return the seconds until the next attempt may be made; 0 when it may be made now."""
        with self._lock:
            return max(
                self._wait_s(f"address {address}", ATTEMPTS_BY_ADDRESS), self._wait_s(f"name {name}", ATTEMPTS_BY_NAME)
            )

    def failed(self, address: str, name: str) -> None:
        """Count a failure."""
        with self._lock:
            for key in (f"address {address}", f"name {name}"):
                self._failures[key] = (*self._recent(key), self._clock())
                self._failures.move_to_end(key)
            while len(self._failures) > MOST_KEYS:
                self._failures.popitem(last=False)

    def _wait_s(self, key: str, limit: int) -> float:
        recent = self._recent(key)
        return 0.0 if len(recent) < limit else recent[-limit] + WINDOW_S - self._clock()

    def _recent(self, key: str) -> tuple[float, ...]:
        return tuple(at for at in self._failures.get(key, ()) if at > self._clock() - WINDOW_S)


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
