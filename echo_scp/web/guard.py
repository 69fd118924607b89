"""What stands between a browser and a page: the host's name, the login, the origin of a form, and the headers."""

from __future__ import annotations

import hmac
import ipaddress
import secrets
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from echo_scp.config import WebConfig
from echo_scp.errors import ConfigurationError
from echo_scp.web.sessions import Attempts, Sessions
from echo_scp.web.users import Users

LARGEST_FORM_BYTES = 16384
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    # Not no-referrer: with it browsers send no Origin with a form.
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class SecurityHeaders:
    """Adds the headers to every answer; nothing but what says otherwise may be kept by a cache."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer as the application does."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        await self._app(scope, receive, send_with_headers)


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who asks: `name` is empty where there is no login. `form_token` goes into every form."""

    name: str
    form_token: str
    sees_patients: bool


class LoginNeededError(Exception):
    """The page is for users, and this is none (any more)."""


class Guard:
    """Lets in who may come in. Without `web.auth`: whoever asks for the loopback by its name."""

    def __init__(self, config: WebConfig) -> None:
        self.users = None if config.auth is None else Users(config.auth)
        self.sessions = Sessions(config.session_timeout_min * 60)
        self.attempts = Attempts()
        self._config = config
        self._token = secrets.token_urlsafe(32)  # of forms where nobody logs in
        # A cookie of this prefix is only ever sent over https and only to the host that set it.
        self.cookie = "echo_scp_session" if config.certificate is None else "__Host-echo_scp_session"

    def visitor(self, request: Request) -> Visitor:
        """Return who asks. Raises LoginNeededError, or HTTPException 403 and 421."""
        if self.users is None:
            self._require_loopback(request)
            return Visitor("", self._token, sees_patients=False)
        session = self.sessions.find(request.cookies.get(self.cookie, ""))
        if session is None or self._find(session.user.name) != session.user:
            raise LoginNeededError
        return Visitor(session.user.name, session.form_token, self._config.show_patient)

    def keep(self, response: Response, secret: str) -> Response:
        """Give the browser the secret of its login, until it is closed."""
        response.set_cookie(
            self.cookie, secret, path="/", httponly=True, samesite="strict", secure=self._config.certificate is not None
        )
        return response

    def _find(self, name: str) -> object:
        assert self.users is not None
        try:
            return self.users.find(name)
        except ConfigurationError:  # no file, no users
            return None

    def _require_loopback(self, request: Request) -> None:
        if not is_loopback(self._config.address):
            raise HTTPException(403, "The page is served beyond this machine only with a login: set web.auth.")
        # A page of the internet may give its own name our address (DNS rebinding), but must ask for it by that name.
        if not is_loopback(urlsplit(f"//{request.headers.get('host', '')}").hostname or ""):
            raise HTTPException(421, "Without a login the page answers to localhost only.")


def is_loopback(host: str) -> bool:
    """Tell whether a host is this machine and nobody else's."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def require_own_origin(request: Request) -> None:
    """Refuse a form that another site sent. Raises HTTPException 403."""
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    own = origin is not None and urlsplit(origin).netloc == request.headers.get("host")
    if not own or site not in (None, "same-origin"):
        raise HTTPException(403, "The form did not come from this page.")


def require_token(form: dict[str, str], visitor: Visitor) -> None:
    """Refuse a form that is not of this visitor's pages. Raises HTTPException 403."""
    if not hmac.compare_digest(form.get("form_token", "").encode(), visitor.form_token.encode()):
        raise HTTPException(403, "The form is of an earlier login; load the page again.")


async def read_form(request: Request) -> dict[str, str]:
    """Return the fields of a small form. Raises HTTPException 413 and 400."""
    content = bytearray()
    async for part in request.stream():
        content += part
        if len(content) > LARGEST_FORM_BYTES:
            raise HTTPException(413, "The form is too large.")
    try:
        fields = parse_qs(content.decode("ascii"), keep_blank_values=True, max_num_fields=20, strict_parsing=False)
    except ValueError as error:
        raise HTTPException(400, "The form cannot be read.") from error
    return {name: values[0] for name, values in fields.items()}
