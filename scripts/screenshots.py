"""Take the pictures of the status page for docs/page.md: run the demo, open its page, photograph the synthetic study.

.venv/bin/python scripts/screenshots.py       # needs the extra dev and Debian's chromium
"""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

IMAGES = Path(__file__).parents[1] / "docs" / "images"


@contextmanager
def kept_demo() -> Iterator[list[str]]:
    """Yield the addresses that the demo prints: the list, the real study, the synthetic one."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "echo_scp.cli", "demo", "--keep", "--out", folder]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        addresses: list[str] = []
        for line in process.stdout or ():
            addresses += re.findall(r"http://127\.0\.0\.1:\S+", line)
            if "Ctrl-C" in line:
                break
        try:
            yield addresses
        finally:
            process.send_signal(signal.SIGINT)
            process.communicate()


def photograph(page: Page, addresses: list[str]) -> None:
    """Write the three pictures; the synthetic study only, the real cine is not ours to show."""
    listing, _, study = addresses
    page.set_viewport_size({"width": 1200, "height": 560})
    page.goto(listing)
    page.screenshot(path=IMAGES / "page-list.png")
    page.set_viewport_size({"width": 390, "height": 780})
    page.goto(listing)
    page.screenshot(path=IMAGES / "page-phone.png")
    page.set_viewport_size({"width": 1200, "height": 1000})
    page.goto(study)
    clip = page.get_by_role("article").first
    clip.scroll_into_view_if_needed()
    clip.locator(".player[data-loaded]").wait_for(timeout=120_000)
    clip.get_by_role("slider").fill("20")
    page.get_by_role("heading", name="Clips").evaluate("element => element.scrollIntoView()")
    page.screenshot(path=IMAGES / "page-study.png")


def main() -> None:
    """Run the demo and take the pictures."""
    with kept_demo() as addresses, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        photograph(browser.new_page(reduced_motion="reduce"), addresses)
        browser.close()


if __name__ == "__main__":
    main()
