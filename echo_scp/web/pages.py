"""The pages: the list of studies, a study, its cines, logging in and out, sending and analysing again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from math import ceil
from pathlib import Path
from urllib.parse import quote

import structlog
from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from echo_scp import __version__
from echo_scp.config import Config
from echo_scp.database.connection import Database
from echo_scp.errors import ConfigurationError, DatabaseUnavailableError
from echo_scp.web.cines import BusyError, Cines, NoCineError
from echo_scp.web.guard import Guard, LoginNeededError, Visitor, read_form, require_own_origin, require_token
from echo_scp.web.identity import Identities
from echo_scp.web.listing import DELIVERIES, PERIODS, RESULTS, STATES, list_studies, read_filter
from echo_scp.web.study import read_study, seg_of

STATIC = Path(__file__).parent / "static"
Retry = Callable[[str, str, str], bool]  # (Study Instance UID, SOP Instance UID, destination) -> was there one
Show = Callable[[Request, Visitor], Response]
Act = Callable[[Request, dict[str, str], Visitor], Response]
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class PageParts:
    """What the pages are made of; `retry` has a result sent again, `reanalyse` a study (by UID) analysed again.

    `results_folder` names the folder of a study's (UID) revision.
    """

    config: Config
    database: Database
    retry: Retry
    reanalyse: Callable[[str], bool]
    results_folder: Callable[[str, int], Path]


class Pages:
    """The routes of the status page."""

    def __init__(self, parts: PageParts) -> None:
        self._parts = parts
        self._guard = Guard(parts.config.web)
        self._identities = Identities()
        self._cines = Cines(parts.config.analysis, parts.config.web.cine_mb * 1048576)
        self._templates = _environment()

    def routes(self) -> list[BaseRoute]:
        """Return every route of the page."""
        return [
            Route("/", self._guarded(self._home)),
            Route("/studies", self._guarded(self._studies)),
            Route("/studies/{uid}", self._guarded(self._study)),
            Route("/studies/{uid}/clips/{sop}/cine", self._guarded(self._cine)),
            Route("/studies/{uid}/retry", self._form(self._retry), methods=["POST"]),
            Route("/studies/{uid}/reanalyse", self._form(self._reanalyse), methods=["POST"]),
            Route("/login", self._login, methods=["GET", "POST"]),
            Route("/logout", self._logout, methods=["POST"]),
            Mount("/static", StaticFiles(directory=STATIC)),
        ]

    def handlers(self) -> Mapping[type[Exception], Callable[[Request, Exception], Response]]:
        """Return what answers where a page cannot."""
        return {
            HTTPException: self._refused,
            LoginNeededError: _to_login,
            DatabaseUnavailableError: self._without_database,
        }

    def close(self) -> None:
        """End what is being decoded."""
        self._cines.close()

    def _guarded(self, show: Show) -> Callable[[Request], Response]:
        """Return the endpoint of a page; Starlette runs it in a thread."""

        def endpoint(request: Request) -> Response:
            return show(request, self._guard.visitor(request))

        return endpoint

    def _home(self, request: Request, visitor: Visitor) -> Response:
        return RedirectResponse("/studies", 303)

    def _studies(self, request: Request, visitor: Visitor) -> Response:
        wanted = read_filter(request.query_params)
        now = datetime.now(UTC)
        with self._parts.database.transaction() as transaction:
            listing = list_studies(transaction, wanted, self._identities_for(visitor), now)
        if not listing.rows and wanted.page > 1:  # an address from a time of more studies
            query = wanted.query(1)
            return RedirectResponse(f"/studies?{query}" if query else "/studies", 303)
        choices = {"state": STATES, "result": RESULTS, "delivery": DELIVERIES, "period": tuple(PERIODS)}
        return self._page("studies.html", visitor, listing=listing, wanted=wanted, choices=choices)

    def _study(self, request: Request, visitor: Visitor) -> Response:
        uid, revision = request.path_params["uid"], _revision(request)
        with self._parts.database.transaction() as transaction:
            identities = self._identities_for(visitor)
            study = read_study(transaction, _plain(uid), revision, identities, self._parts.results_folder)
        if study is None:
            raise HTTPException(404, "There is no study of this UID.")
        if revision is not None and study.revision is None:
            raise HTTPException(404, f"The study has no revision {revision}.")
        return self._page(
            "study.html",
            visitor,
            study=study,
            cines=self._parts.config.web.cine_mb > 0,
            retried="retried" in request.query_params,
            reanalysed="reanalysed" in request.query_params,
        )

    def _cine(self, request: Request, visitor: Visitor) -> Response:
        uid, sop = _plain(request.path_params["uid"]), _plain(request.path_params["sop"])
        with self._parts.database.transaction() as transaction:
            row = transaction.row("page_instance_path", study_instance_uid=uid, sop_instance_uid=sop)
            seg = None if row is None else seg_of(transaction, uid, _revision(request), sop)
        if row is None:
            raise HTTPException(404, "There is no such clip.")
        try:
            content = self._cines.get(Path(str(row[0])), seg)
        except NoCineError as error:
            return Response(str(error), 422, media_type="text/plain")
        except BusyError:
            return Response("busy", 503, {"Retry-After": "5"}, media_type="text/plain")
        return Response(content, media_type="application/octet-stream")

    def _form(self, act: Act) -> Callable[[Request], Awaitable[Response]]:
        """Return the endpoint of a form of ours; its action runs in a thread."""

        async def endpoint(request: Request) -> Response:
            require_own_origin(request)
            form = await read_form(request)
            return await run_in_threadpool(checked, request, form)

        def checked(request: Request, form: dict[str, str]) -> Response:
            visitor = self._guard.visitor(request)
            require_token(form, visitor)
            return act(request, form, visitor)

        return endpoint

    def _retry(self, request: Request, form: dict[str, str], visitor: Visitor) -> Response:
        uid, sop = _plain(request.path_params["uid"]), _plain(form.get("sop_instance_uid", ""))
        destination = _plain(form.get("destination", ""))
        if not self._parts.retry(uid, sop, destination):
            raise HTTPException(404, "There is nothing to send again.")
        log.info("page.delivery_retried", sop_instance_uid=sop, destination=destination, user=visitor.name)
        return RedirectResponse(f"/studies/{quote(uid)}?retried=1#deliveries", 303)

    def _reanalyse(self, request: Request, form: dict[str, str], visitor: Visitor) -> Response:
        uid = _plain(request.path_params["uid"])
        if not self._parts.reanalyse(uid):
            raise HTTPException(404, "There is no study of this UID.")
        log.info("page.study_reanalysed", study_instance_uid=uid, user=visitor.name)
        return RedirectResponse(f"/studies/{quote(uid)}?reanalysed=1", 303)

    async def _login(self, request: Request) -> Response:
        if self._guard.users is None:
            return RedirectResponse("/studies", 303)
        if request.method == "GET":
            return self._login_page("", 200)
        require_own_origin(request)
        form = await read_form(request)
        return await run_in_threadpool(self._log_in, request, form)

    def _log_in(self, request: Request, form: dict[str, str]) -> Response:
        assert self._guard.users is not None
        address = "" if request.client is None else request.client.host
        name = form.get("name", "")[:64]
        wait_s = self._guard.attempts.wait_s(address, name)
        if wait_s > 0:
            return self._login_page(f"Too many failed attempts. Try again in {minutes_text(wait_s)}.", 429, wait_s)
        try:
            user = self._guard.users.log_in(name, form.get("password", ""))
        except ConfigurationError as error:
            log.error("page.users_unreadable", detail=str(error))
            return self._login_page("Nobody can log in: the file of users cannot be read; see the log.", 503)
        if user is None:
            self._guard.attempts.failed(address, name)
            log.warning("page.login_failed", address=address)
            return self._login_page("Name or password is wrong.", 401)
        log.info("page.logged_in", user=user.name, address=address)
        return self._guard.keep(RedirectResponse("/studies", 303), self._guard.sessions.begin(user))

    async def _logout(self, request: Request) -> Response:
        require_own_origin(request)
        form = await read_form(request)
        visitor = await run_in_threadpool(self._guard.visitor, request)
        require_token(form, visitor)
        self._guard.sessions.end(request.cookies.get(self._guard.cookie, ""))
        response = RedirectResponse("/login", 303)
        response.delete_cookie(self._guard.cookie, path="/", httponly=True, samesite="strict")
        return response

    def _login_page(self, problem: str, status: int, wait_s: float = 0) -> Response:
        headers = {"Retry-After": f"{ceil(wait_s)}"} if wait_s else {}
        return self._page("login.html", None, status, headers, problem=problem)

    def _refused(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return self._page("problem.html", None, error.status_code, dict(error.headers or {}), problem=error.detail)

    def _without_database(self, request: Request, error: Exception) -> Response:
        return self._page(
            "problem.html",
            None,
            503,
            {"Retry-After": "10"},
            problem="The database does not answer. Instances are still received, and analysed when it is back.",
        )

    def _page(
        self,
        template: str,
        visitor: Visitor | None,
        status: int = 200,
        headers: dict[str, str] | None = None,
        **values: object,
    ) -> Response:
        text = self._templates.get_template(template).render(
            visitor=visitor, research_use=self._parts.config.report.research_use, version=__version__, **values
        )
        return HTMLResponse(text, status, headers)

    def _identities_for(self, visitor: Visitor) -> Identities | None:
        return self._identities if visitor.sees_patients else None


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("echo_scp.web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["words"] = lambda code: str(code).replace("_", " ")
    environment.filters["moment"] = lambda at: f"{at:%Y-%m-%d %H:%M:%S} UTC"
    environment.globals["asset"] = _asset
    return environment


def _asset(name: str) -> str:
    """Return the address of a file of ours, another one when its content changes."""
    return f"/static/{name}?{sha256((STATIC / name).read_bytes()).hexdigest()[:12]}"


def _to_login(request: Request, error: Exception) -> Response:
    if request.method == "GET" and "text/html" in request.headers.get("accept", "text/html"):
        return RedirectResponse("/login", 303)
    return Response("log in first\n", 401, media_type="text/plain")


def _revision(request: Request) -> int | None:
    text = request.query_params.get("revision", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 9 else None


def minutes_text(wait_s: float) -> str:
    """Return a time after which it is over."""
    minutes = max(1, ceil(wait_s / 60))
    return f"{minutes} minute{'' if minutes == 1 else 's'}"


def _plain(text: str) -> str:
    """Return text that PostgreSQL takes, which knows no NUL."""
    return text.replace("\0", "")
