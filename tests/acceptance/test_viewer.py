"""What a person sees: OHIF on Orthanc, in a browser, with the results of a synthetic study."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import suppress
from io import BytesIO
from pathlib import Path

import cv2
import highdicom
import numpy as np
import pytest
from PIL import Image
from pydicom import Dataset, dcmread

from scripts.viewer.archive import program
from scripts.viewer.show import OHIF, Shown, shown

playwright = pytest.importorskip("playwright.sync_api", reason="VIEWER NOT TESTED: playwright is not installed")

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
PICTURES = os.environ.get("VIEWER_SCREENSHOTS", "")  # a folder to keep screenshots in
MISSING = [
    name
    for name, found in (
        ("Orthanc with its DICOMweb plugin", program()),
        ("Chromium", CHROMIUM),
        (f"OHIF in {OHIF}", (OHIF / "index.html").exists()),
    )
    if not found
]
pytestmark = [
    pytest.mark.viewer,
    pytest.mark.timeout(900),
    pytest.mark.skipif(
        bool(MISSING), reason=f"VIEWER NOT TESTED: {' and '.join(MISSING)} not there (make viewer-tools)"
    ),
]

DISPLAY_SETS = "window.services.displaySetService.getActiveDisplaySets()"
VIEWPORT = """
    window.services.cornerstoneViewportService.getCornerstoneViewport(
        window.services.viewportGridService.getActiveViewportId())
"""
SLOW_MS = 240_000  # software rendering on a machine that does other things too
# OHIF counts voxels in the background, and stumbles when the clip is left before it is done.
OWN_FAULT = "calculateSegmentsStatisticsStack"
COLOURS = {"LV cavity": 0, "LV myocardium": 1}  # which of red, green and blue a segment is shown in


class Browser:
    """OHIF with the study open, as a person uses it."""

    def __init__(self, page, view: Shown) -> None:
        self.page = page
        self.view = view
        self.complaints: list[str] = []
        page.set_default_timeout(SLOW_MS)
        page.add_init_script("localStorage.setItem('shownTours', JSON.stringify(['basicViewerTour']))")
        page.on("console", lambda message: self._note(message.type == "error", message.text))
        page.on("pageerror", lambda error: self._note(True, str(error)))
        page.on("response", lambda answer: self._note(answer.status >= 400, f"{answer.status} {answer.url}"))

    def _note(self, wrong: bool, text: str) -> None:
        if wrong and OWN_FAULT not in text:
            self.complaints.append(text)

    def open_study(self) -> None:
        self.page.goto(f"{self.view.address}/viewer?StudyInstanceUIDs={self.view.study_instance_uid}")
        self.page.wait_for_function(f"window.services?.displaySetService && {DISPLAY_SETS}.length >= 14")
        self.page.wait_for_function(f"{VIEWPORT}?.getImageIds?.().length > 0")

    def double_click(self, series: str) -> None:
        thumbnail = self.page.locator("[data-cy^=study-browser-thumbnail]").filter(has_text=series).first
        thumbnail.scroll_into_view_if_needed()
        thumbnail.dblclick()

    def double_click_until(self, series: str, condition: str) -> None:
        """Double click, again where the page was too busy to notice, as a person does."""
        for _ in range(3):
            self.double_click(series)
            with suppress(playwright.TimeoutError):
                self.page.wait_for_function(condition, timeout=SLOW_MS / 2)
                return
        pytest.fail(f"{series} did not open")

    def picture(self) -> np.ndarray:
        """Return the viewport (H, W, 3) as it is seen."""
        self.page.wait_for_timeout(700)
        shot = self.page.locator("[data-cy=viewport-pane]").first.screenshot()
        return np.asarray(Image.open(BytesIO(shot)).convert("RGB"))

    def keep(self, name: str) -> None:
        if PICTURES:
            self.page.screenshot(path=str(Path(PICTURES) / f"viewer-{name}.png"))

    def step_to(self, frame_number: int) -> None:
        self.page.evaluate(
            f"async () => {{ const v = {VIEWPORT}; await v.setImageIdIndex({frame_number - 1}); v.render(); }}"
        )

    def frame_number(self) -> int:
        return 1 + int(self.page.evaluate(f"{VIEWPORT}.getCurrentImageIdIndex()"))

    def places(self, pixels: np.ndarray) -> np.ndarray:
        """Return where (row, column) pixels of the clip are seen in `picture()`, as (row, column)."""
        script = f"""points => {{
            const v = {VIEWPORT}, image = v.getImageData().imageData;
            const pane = document.querySelector('[data-cy=viewport-pane]').getBoundingClientRect();
            const canvas = v.canvas.getBoundingClientRect();
            return points.map(([row, column]) => {{
                const [x, y] = v.worldToCanvas(image.indexToWorld([column, row, 0]));
                return [y + canvas.top - pane.top, x + canvas.left - pane.left];
            }});
        }}"""
        return np.rint(np.array(self.page.evaluate(script, pixels.tolist()))).astype(int)


@pytest.fixture(scope="module")
def view(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shown]:
    with shown(tmp_path_factory.mktemp("viewer"), frame_count=60) as view:
        yield view


@pytest.fixture(scope="module")
def browser(view: Shown) -> Iterator[Browser]:
    with playwright.sync_playwright() as program:
        chromium = program.chromium.launch(
            executable_path=CHROMIUM,
            args=["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist"],
        )
        context = chromium.new_context(viewport={"width": 1500, "height": 900})
        browser = Browser(context.new_page(), view)
        browser.open_study()
        yield browser
        chromium.close()


@pytest.fixture(scope="module")
def results(view: Shown) -> dict[str, Dataset]:
    """What came to the archive, by series description."""
    found = {}
    for instance in view.archive.get("/instances"):
        content = view.archive.content(f"/instances/{instance}/file")
        ds = dcmread(BytesIO(content))
        if "echo-scp" in str(ds.get("Manufacturer", "")):
            found[str(ds.SeriesDescription).removesuffix(" (research use)")] = ds
    return found


def masks_of(seg: Dataset, label: str) -> dict[int, np.ndarray]:
    """Return (H, W) booleans by source frame number, as highdicom reads them."""
    (number,) = (int(item.SegmentNumber) for item in seg.SegmentSequence if item.SegmentLabel == label)
    image = highdicom.seg.Segmentation.from_dataset(seg)
    source = seg.PerFrameFunctionalGroupsSequence[0].DerivationImageSequence[0].SourceImageSequence[0]
    frames = list(range(1, 61))
    pixels = image.get_pixels_by_source_frame(
        source.ReferencedSOPInstanceUID,
        frames,
        segment_numbers=[number],
        ignore_spatial_locations=True,
        assert_missing_frames_are_empty=True,
    )
    return dict(zip(frames, pixels[..., 0].astype(bool), strict=True))


def inner(mask: np.ndarray, by: int) -> np.ndarray:
    """Return some (row, column) pixels at least so far inside a mask."""
    kernel = np.ones((2 * by + 1, 2 * by + 1), np.uint8)
    eroded = cv2.erode(mask.astype(np.uint8), kernel, borderValue=0)
    pixels = np.argwhere(eroded)
    return pixels[:: max(1, len(pixels) // 60)]


def tint(picture: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Return by how much each of red, green and blue stands out above the darkest of the three, (N, 3)."""
    colours = picture[places[:, 0], places[:, 1]].astype(int)
    return colours - colours.min(axis=1, keepdims=True)


def assert_shown(browser: Browser, masks: dict[str, dict[int, np.ndarray]], frame_number: int) -> None:
    """Each segment is where its mask is on this frame, in its colour; where no mask is, the picture is grey."""
    browser.step_to(frame_number)
    picture = browser.picture()
    taken = np.any([of_frame[frame_number] for of_frame in masks.values()], axis=0)
    for label, channel in COLOURS.items():
        found = tint(picture, browser.places(inner(masks[label][frame_number], 4)))
        assert np.mean((found.argmax(axis=1) == channel) & (found.max(axis=1) > 15)) > 0.95, (label, frame_number)
    free = ~taken
    free[:130], free[400:], free[:, :180], free[:, 460:] = False, False, False, False  # where the viewer writes
    assert np.mean(tint(picture, browser.places(inner(free, 5))).max(axis=1) < 12) > 0.95, frame_number


def test_the_archive_has_every_result_and_serves_it(view: Shown, results: dict[str, Dataset]) -> None:
    """QIDO-RS lists the series, WADO-RS gives metadata and frames (PS3.18)."""
    series = view.archive.get(f"/dicom-web/studies/{view.study_instance_uid}/series")
    modalities = sorted(item["00080060"]["Value"][0] for item in series)
    seg = results["LV segmentation A4C 1"]
    path = f"/dicom-web/studies/{seg.StudyInstanceUID}/series/{seg.SeriesInstanceUID}"
    (metadata,) = view.archive.get(f"{path}/metadata")
    frame = view.archive.content(f"{path}/instances/{seg.SOPInstanceUID}/frames/1")

    assert modalities == ["DOC", "KO", "SEG", "SEG", "SR", "SR", "US", "US", "US"]
    assert metadata["00620001"]["Value"] == ["BINARY"]
    assert metadata["00280008"]["Value"] == [seg.NumberOfFrames]
    assert len(frame) >= seg.Rows * seg.Columns // 8


def test_the_study_list_shows_the_study_with_its_results(browser: Browser, view: Shown) -> None:
    """The list names patient and modalities."""
    page = browser.page.context.new_page()
    page.goto(f"{view.address}/")
    page.get_by_text("Phantom").first.wait_for(timeout=SLOW_MS)

    text = page.inner_text("body")
    if PICTURES:
        page.screenshot(path=str(Path(PICTURES) / "viewer-list.png"))
    page.close()

    assert re.search(r"SEG", text)
    assert re.search(r"SR", text)


def test_every_series_of_results_is_listed_beside_the_clips(browser: Browser) -> None:
    """One entry for each Segmentation: of a series with two OHIF would show the first only."""
    described = browser.page.evaluate(f"{DISPLAY_SETS}.map(d => d.SeriesDescription)")

    for series in (
        "LV measurements",
        "Echo report",
        "LV segmentation A4C 1",
        "LV segmentation A2C 2",
        "LV contour cine A4C 1",
        "LV contour cine A2C 2",
        "LV report",
    ):
        assert f"{series} (research use)" in described


def test_the_contour_lies_on_the_moving_heart_and_two_clips_do_not_mix(browser: Browser, results) -> None:
    """Both Segmentations, each on its own clip, at frames of diastole and systole."""
    for count, series in enumerate(("LV segmentation A4C 1", "LV segmentation A2C 2"), start=1):
        browser.double_click(series)
        browser.page.wait_for_function(
            f"window.services.segmentationService.getSegmentation({DISPLAY_SETS}"
            f".find(d => d.SeriesDescription.startsWith('{series}')).displaySetInstanceUID)"
        )
        browser.page.wait_for_function(f"{VIEWPORT}?.getImageIds?.().length === 60")
        browser.page.wait_for_timeout(2000)
        load = browser.page.get_by_text("LOAD", exact=True)
        if load.count():
            load.first.click()
            browser.page.wait_for_timeout(2000)
        seg = results[series]
        masks = {segment.SegmentLabel: masks_of(seg, segment.SegmentLabel) for segment in seg.SegmentSequence}
        for frame_number in (1, 7, 20, 33):
            assert_shown(browser, masks, frame_number)
        browser.keep(f"seg-{count}")


def test_the_report_shows_numbers_and_contour_on_its_frame(browser: Browser, results) -> None:
    """EF, EDV and ESV beside the contour, on the end-systole that the study's result rests on."""
    browser.double_click_until(
        "LV measurements",
        "document.querySelectorAll('[data-cy=viewport-pane] svg text, [data-cy=viewport-pane] svg tspan').length > 3",
    )
    browser.page.wait_for_timeout(1500)
    text = browser.page.evaluate("document.querySelector('[data-cy=viewport-pane]').textContent")
    browser.keep("sr")
    first = results["LV measurements"].ContentSequence

    assert re.search(r"[Ee]jection fraction[^%]*5\d(\.\d+)? ?%", text)
    assert re.search(r"[Ee]nd[- ][Dd]iastolic volume[^m]*\d+(\.\d+)? ?mL", text)
    assert re.search(r"[Ee]nd[- ][Ss]ystolic volume[^m]*\d+(\.\d+)? ?mL", text)
    assert browser.frame_number() in referenced_frames(first)


def referenced_frames(content) -> set[int]:
    """Return the frame numbers that any item of a tree names."""
    found: set[int] = set()
    for item in content:
        for reference in item.get("ReferencedSOPSequence", ()):
            number = reference.get("ReferencedFrameNumber")
            found |= {number} if isinstance(number, int) else set(map(int, number or ()))
        found |= referenced_frames(item.get("ContentSequence", ()))
    return found


def test_the_echo_report_opens_as_text(browser: Browser) -> None:
    """Findings, method and research use are read as words."""
    browser.double_click("Echo report")
    browser.page.get_by_text("Research use only").first.wait_for()

    text = browser.page.inner_text("body")
    browser.keep("echo-report")

    assert "Ejection Fraction" in text
    assert "End Diastolic Volume" in text


def test_the_overlay_cine_plays(browser: Browser) -> None:
    """Any viewer shows it: here the frames follow each other, with the green line in them."""
    browser.double_click("LV contour cine A4C 1")
    browser.page.wait_for_function(f"{VIEWPORT}?.getImageIds?.().length === 60", timeout=SLOW_MS)
    browser.page.wait_for_timeout(1500)
    browser.page.locator("[data-cy=viewport-pane]").first.hover()
    browser.page.keyboard.press("c")
    before = browser.frame_number()
    picture = browser.picture().astype(int)
    browser.page.evaluate(
        "window.services.cineService.setCine({id: window.services.viewportGridService.getActiveViewportId(),"
        " isPlaying: true, frameRate: 20})"
    )
    browser.page.wait_for_function(f"{VIEWPORT}.getCurrentImageIdIndex() !== {before - 1}", timeout=SLOW_MS)
    browser.keep("cine")

    assert np.sum((picture[..., 1] > 150) & (picture[..., 0] < 140) & (picture[..., 2] < 160)) > 200


def test_the_page_opens(browser: Browser) -> None:
    """OHIF hands the PDF to the browser."""
    browser.double_click("LV report")

    browser.page.wait_for_function("document.querySelector('object[type=\"application/pdf\"], iframe, embed') !== null")


def test_the_browser_has_nothing_to_complain_of(browser: Browser) -> None:
    """No error in its console, no refused request, in all of the above."""
    assert browser.complaints == []
