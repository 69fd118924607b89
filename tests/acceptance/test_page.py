"""The status page in a real browser, of a real node that has analysed a real study of the phantom."""

from __future__ import annotations

import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Browser, Page, StorageState, expect

from echo_scp.config import ReceiveConfig
from echo_scp.receive.listener import Listener
from echo_scp.spool import Spool
from echo_scp.web.users import set_user
from tests.acceptance.browser import DESK, PHONE, accessibility_problems, open_browser, overflows
from tests.acceptance.running import Node, Pacs, pick_port, wait_for

NAME, PASSWORD = "reader", "correct horse battery"
PATIENT_ID = "PHANTOM-5"

pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket.socket:ResourceWarning")


@dataclass
class Site:
    """A node with a login, and a destination that is away until a test starts it."""

    node: Node
    pacs: Pacs
    study_instance_uid: str
    environment: pytest.MonkeyPatch

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.node.web_port}"

    @property
    def study(self) -> str:
        return f"{self.address}/studies/{self.study_instance_uid}"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, templates: tuple[Path, ...]) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("page")
    set_user(folder / "users", NAME, PASSWORD)
    pacs = Pacs(Spool(folder / "pacs", 0), pick_port())
    node = Node(folder / "node", pacs.port, quiet_period_s=3)
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("ECHO_SCP_WEB__AUTH", str(folder / "users"))
        environment.setenv("ECHO_SCP_WEB__SHOW_PATIENT", "true")
        environment.setenv("ECHO_SCP_DELIVER__GIVE_UP_AFTER_H", "0.0001")
        node.start()
        try:
            for index in (0, 2, 4):  # A4C, PLAX, M-mode
                node.send(templates[index])
            ((uid,),) = wait_for(lambda: node.rows("SELECT study_instance_uid FROM study WHERE state = 'reported'"))
            wait_for(lambda: node.rows("SELECT count(*) FROM delivery WHERE state = 'given_up'") == [(2,)])
            yield Site(node, pacs, str(uid), environment)
        finally:
            node.stop()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with open_browser() as browser:
        yield browser


@pytest.fixture(scope="module")
def logged_in(browser: Browser, site: Site) -> StorageState:
    """The cookie of one login, for many browsers."""
    with browser.new_context() as context:
        page = context.new_page()
        log_in(page, site)
        expect(page).to_have_title("Studies - echo-scp")
        return context.storage_state()


@pytest.fixture
def page(browser: Browser, site: Site, logged_in: StorageState) -> Iterator[Page]:
    """A page of a browser that is logged in; fails the test when a script or the policy of the page is violated."""
    with browser.new_context(viewport=DESK, storage_state=logged_in) as context:
        page = context.new_page()
        complaints: list[str] = []
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.goto(site.address)
        yield page
        assert complaints == []


def log_in(page: Page, site: Site, password: str = PASSWORD) -> None:
    page.goto(f"{site.address}/studies")
    page.get_by_label("Name").fill(NAME)
    page.get_by_label("Password").fill(password)
    page.get_by_label("Password").press("Enter")


def open_study(page: Page, site: Site) -> Page:
    page.goto(site.study)
    return page


def post(address: str, fields: dict[str, str], **headers: str) -> int:
    """Send a form as another program would; return the status."""
    request = urllib.request.Request(address, urlencode(fields).encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def test_nothing_of_a_study_is_shown_before_the_login(site, browser):
    """Every page leads to the login; a wrong password leads nowhere; the cookie is not for scripts or other sites."""
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(site.study)
        expect(page).to_have_title("Log in - echo-scp")
        assert site.study_instance_uid not in page.content()
        assert accessibility_problems(page) == []
        log_in(page, site, "wrong password")
        expect(page.get_by_role("alert")).to_have_text("Name or password is wrong.")
        assert context.cookies() == []
        log_in(page, site)

        expect(page).to_have_title("Studies - echo-scp")
        (cookie,) = context.cookies()
        assert (cookie["httpOnly"], cookie["sameSite"], cookie["path"]) == (True, "Strict", "/")


def test_who_logs_out_is_out(site, browser):
    """The cookie opens nothing any more."""
    with browser.new_context() as context:
        page = context.new_page()
        log_in(page, site)
        cookies = context.cookies()
        page.get_by_role("button", name="Log out").click()
        expect(page).to_have_title("Log in - echo-scp")
        context.add_cookies(cookies)
        page.goto(site.study)

        expect(page).to_have_title("Log in - echo-scp")


def test_the_list_tells_of_each_study(site, page):
    """State, sender, patient, EF, grades and what became of the deliveries."""
    row = page.get_by_role("row").filter(has_text=site.study_instance_uid)

    expect(row).to_contain_text("reported")
    expect(row).to_contain_text("CART")
    expect(row).to_contain_text(PATIENT_ID)
    expect(row).to_contain_text("2 given up")
    expect(row).to_contain_text("ASE/EACVI 2015")
    assert abs(float(row.locator("[data-name=EF]").inner_text().split()[0]) - 58) <= 10
    assert accessibility_problems(page) == []


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ({"text": PATIENT_ID.lower()}, 1),
        ({"text": "cart"}, 1),
        ({"text": "%"}, 0),
        ({"state": "reported", "result": "measured", "delivery": "failed", "period": "day"}, 1),
        ({"result": "not_assessed"}, 0),
        ({"delivery": "done"}, 0),
        ({"ef_below": "20"}, 0),
        ({"page": "2"}, 1),
    ],
)
def test_the_list_is_searched_and_filtered(site, page, query, count):
    """By the patient too, for whom may see patients."""
    page.goto(f"{site.address}/studies?{urlencode(query)}")

    expect(page.locator("#listing tbody tr")).to_have_count(count)


def test_a_list_that_is_not_fresh_any_more_says_so(site, browser, logged_in):
    """While the node does not answer, and no longer."""
    with browser.new_context(storage_state=logged_in) as context:
        page = context.new_page()
        page.goto(f"{site.address}/studies")
        context.set_offline(True)
        expect(page.get_by_text("The node does not answer. The list is of")).to_be_visible(timeout=15_000)
        expect(page.get_by_role("row").filter(has_text=site.study_instance_uid)).to_be_visible()
        context.set_offline(False)

        expect(page.get_by_text("The node does not answer.")).to_have_count(0, timeout=15_000)


def test_a_node_that_is_silent_is_not_waited_for(page):
    """A browser would say nothing for minutes."""
    page.route("**/studies", lambda route: None)
    expect(page.get_by_text("The node does not answer.")).to_be_visible(timeout=30_000)
    page.unroute("**/studies")

    expect(page.get_by_text("The node does not answer.")).to_have_count(0, timeout=30_000)


def test_a_study_shows_every_clip_and_what_became_of_it(site, page):
    """View, use, reason, numbers with their method, beats, engines."""
    open_study(page, site)
    clips = page.get_by_role("article")

    expect(clips).to_have_count(3)
    expect(clips.nth(0)).to_contain_text("A4C")
    expect(clips.nth(1)).to_contain_text("view not measured: taken for PLAX")
    expect(clips.nth(2)).to_contain_text("m mode:")
    expect(page.get_by_role("heading", name="used", exact=False).first).to_be_visible()
    table = page.get_by_role("table", name="Measurements of the study")
    expect(table.get_by_role("row", name="Ejection fraction").first).to_contain_text("method of disks")
    expect(page.get_by_role("table", name=re.compile("^Beats of .*instance 1$")).get_by_role("row")).not_to_have_count(
        1
    )
    expect(page.get_by_role("row", name="engine lv-apical")).to_be_visible()
    expect(page.get_by_text("Phantom Echo5")).to_be_visible()


def test_a_cine_plays_with_the_ventricle_outlined(site, page):
    """The outline is drawn in the picture, follows its switch, and the line on the curve follows the frames."""
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    open_study(page, site)
    player = page.locator(".player[data-loaded]").first
    page.locator(".player").first.scroll_into_view_if_needed()
    player.wait_for(timeout=60_000)
    clip = page.get_by_role("article").first
    line = clip.locator("svg .now")
    first = line.get_attribute("x1")

    wait_for(lambda: line.get_attribute("x1") != first, 20)
    player.get_by_role("button", name="Pause").focus()
    page.keyboard.press("Space")
    expect(player.get_by_role("button", name="Play")).to_be_focused()
    assert yellow_pixels(player) > 100
    player.get_by_role("checkbox", name="Outline").uncheck()
    assert yellow_pixels(player) == 0
    player.get_by_role("slider", name="Frame").fill("10")
    page.keyboard.press("ArrowRight")
    expect(player.locator(".frame")).to_contain_text("11 of 60")
    assert all(url.startswith(site.address) for url in requests)


def yellow_pixels(player) -> int:
    """Count the pixels of the canvas in the colour of the outline; the picture itself is grey."""
    return player.locator("canvas").evaluate(
        """canvas => {
            const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
            let count = 0;
            for (let i = 0; i < data.length; i += 4) if (data[i] - data[i + 2] > 80) count += 1;
            return count;
        }"""
    )


def test_the_report_reads_as_text(site, page):
    """Opened by the keyboard."""
    open_study(page, site)
    page.get_by_text("Structured Report as text").focus()
    page.keyboard.press("Enter")

    expect(page.locator(".report")).to_be_visible()
    expect(page.locator(".report")).to_contain_text("Imaging Measurement Report")
    expect(page.locator(".report")).to_contain_text("LV ejection fraction")


def test_a_page_is_for_every_reader(site, browser, logged_in):
    """axe-core finds nothing wrong, bright or dark, wide or on a phone, where nothing leaves the screen."""
    for scheme, viewport in (("light", DESK), ("dark", PHONE)):
        look = {"color_scheme": scheme, "viewport": viewport, "reduced_motion": "reduce"}
        with browser.new_context(**look, storage_state=logged_in) as context:
            page = context.new_page()
            page.goto(site.address)
            expect(page.locator("#listing")).to_be_visible()
            assert accessibility_problems(page) == []
            assert not overflows(page)
            open_study(page, site)
            page.locator(".player").first.scroll_into_view_if_needed()
            page.locator(".player[data-loaded]").first.wait_for(timeout=60_000)
            expect(page.get_by_role("button", name="Play").first).to_be_visible()
            page.get_by_text("Structured Report as text").click()
            assert accessibility_problems(page) == []
            assert not overflows(page)


def test_a_form_of_another_site_changes_nothing(site, page):
    """Neither without its token, nor from elsewhere, nor without a login."""
    open_study(page, site)
    cookie = "; ".join(f"{cookie['name']}={cookie['value']}" for cookie in page.context.cookies())
    form = page.locator("form[action$=retry]").first
    fields = {
        name: form.locator(f"[name={name}]").input_value() for name in ("form_token", "sop_instance_uid", "destination")
    }
    target = f"{site.study}/retry"

    assert post(target, fields, Cookie=cookie, Origin="http://evil.example") == 403
    assert post(target, fields, Cookie=cookie) == 403
    assert post(target, fields | {"form_token": "x"}, Cookie=cookie, Origin=site.address) == 403
    assert post(target, fields, Origin=site.address) == 401
    assert post(target, fields | {"destination": "x"}, Cookie=cookie, Origin=site.address) == 404
    assert post(target, {"form_token": "x" * 20000}, Cookie=cookie, Origin=site.address) == 413
    token = {"form_token": fields["form_token"]}
    assert post(f"{site.study}/reanalyse", token, Cookie=cookie, Origin="http://evil.example") == 403
    assert post(f"{site.study}/reanalyse", {}, Cookie=cookie, Origin=site.address) == 403
    assert post(f"{site.address}/studies/1.2.3/reanalyse", token, Cookie=cookie, Origin=site.address) == 404


def test_a_result_is_sent_again_at_a_click(site, page):
    """What was given up arrives at the destination that is back."""
    config = ReceiveConfig(ae_title="PACS", address="127.0.0.1", port=site.pacs.port, reserve_disk_mb=0)
    with Listener(config, site.pacs.spool, lambda: None):
        open_study(page, site)
        page.get_by_role("button", name="Send SR").click()
        expect(page.get_by_text("It will be sent again.")).to_be_visible()

        wait_for(lambda: [kind for kind, _ in site.pacs.objects(site.study_instance_uid)] == ["SR"])
        wait_for(lambda: site.node.rows("SELECT count(*) FROM delivery WHERE state = 'delivered'") == [(1,)])
    open_study(page, site)
    expect(page.get_by_role("button", name="Send SR")).to_have_count(0)
    expect(page.get_by_role("button", name="Send SEG")).to_have_count(1)


def test_a_study_is_analysed_again_at_a_click(site, page):
    """A study that was given up ends reported; while it waits the page offers no second click."""
    site.node.rows("UPDATE study SET state = 'failed', failure = 'planted' RETURNING state")
    open_study(page, site)
    page.get_by_role("button", name="Analyse again").click()
    expect(page.get_by_text("It will be analysed again")).to_be_visible()
    expect(page.get_by_role("button", name="Analyse again")).to_have_count(0)

    wait_for(lambda: site.node.rows("SELECT state FROM study") == [("reported",)])
    open_study(page, site)
    expect(page.get_by_role("button", name="Analyse again")).to_be_visible()


def test_failed_logins_have_to_wait(site, browser):
    """After a few the right password does not help either. Metrics and health ask for no login."""
    for _ in range(5):
        fields = {"name": "nobody", "password": "guess"}
        status = post(f"{site.address}/login", fields, Origin=site.address)
        if status == 429:
            break
    status = post(f"{site.address}/login", {"name": NAME, "password": PASSWORD}, Origin=site.address)

    assert status == 429
    assert "echo_scp_studies" in site.node.get("/metrics")
    assert site.node.get("/healthz") == "ok\n"


def test_without_a_login_nobody_is_named(site, browser):
    """The same node without web.auth: no patient, on the loopback by its own name only, the page still plays."""
    site.node.stop()
    site.environment.delenv("ECHO_SCP_WEB__AUTH")
    site.environment.delenv("ECHO_SCP_WEB__SHOW_PATIENT")
    site.node.start()

    with browser.new_context() as context:
        page = context.new_page()
        page.goto(f"{site.address}/studies?text={PATIENT_ID}")
        expect(page.locator("#listing tbody tr")).to_have_count(0)
        open_study(page, site)
        page.locator(".player").first.scroll_into_view_if_needed()
        page.locator(".player[data-loaded]").first.wait_for(timeout=60_000)
        assert "Phantom Echo5" not in page.content()
        assert PATIENT_ID not in page.content()
    request = urllib.request.Request(f"{site.address}/studies", headers={"Host": "evil.example"})
    with pytest.raises(urllib.error.HTTPError, match="421"):
        urllib.request.urlopen(request, timeout=20)
