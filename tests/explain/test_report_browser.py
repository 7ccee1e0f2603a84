"""The report in a browser, where there is one: no error, no request, nothing wider than a phone."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from striate.explain.report.making import make
from striate.explain.report.page import NAME, Page, write_page

from .subjects import untrained
from .test_report import HOSTILE, spec_of

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not here")
CHROMIUM = shutil.which("chromium")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not here")


@pytest.fixture(scope="module")
def report(tmp_path_factory) -> Path:
    """Return a report on a network whose class names try everything."""
    folder = tmp_path_factory.mktemp("report")
    subject = untrained(spec_of(HOSTILE))
    page = Page(subject)
    for name in ("summary", "confusion", "classes", "calibration", "data", "settings"):
        page.sections[name] = make(subject, name, "full").section
    write_page(page, folder / NAME, folder)
    return folder / NAME


@pytest.fixture(scope="module")
def browser():
    options = ["--no-sandbox", "--disable-background-networking"]
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=options)
        yield browser
        browser.close()


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_report_is_shown_without_error_request_or_scrolling_sideways(browser, report, width, scheme):
    told: list[str] = []
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page = context.new_page()
    page.on("console", lambda message: told.append(message.text))
    page.on("pageerror", lambda error: told.append(str(error)))
    page.on("dialog", lambda dialog: told.append(dialog.message))
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.goto(report.as_uri())
    assert told == []
    assert [url for url in requests if not url.startswith("data:")] == [report.as_uri()]
    wide, room = page.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
    assert wide <= room
    assert (
        page.evaluate(
            "getComputedStyle(document.querySelector('.matrix td.right.s1, .matrix td.wrong')).backgroundColor"
        )
        != "rgba(0, 0, 0, 0)"
    ), "the style is obeyed"
    assert HOSTILE[0] in page.inner_text("#classes")
    context.close()


def test_a_cell_of_the_matrix_leads_to_its_pictures(browser, report):
    context = browser.new_context(viewport={"width": 390, "height": 800})
    page = context.new_page()
    page.goto(report.as_uri())
    link = page.locator(".matrix a").first
    target = link.get_attribute("href")
    link.click()
    page.wait_for_function("document.querySelector(':target') !== null")
    assert page.url.endswith(target)
    place = page.locator(target)
    box = place.bounding_box()
    assert box is not None
    page.wait_for_function("el => Math.abs(el.getBoundingClientRect().top) < 200", arg=place.element_handle())
    assert page.evaluate(
        "el => [...el.querySelectorAll('img')].every(one => one.naturalWidth > 0)", place.element_handle()
    )
    context.close()


def test_pictures_of_rarer_cells_appear_when_their_number_is_chosen(browser, report):
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.goto(report.as_uri())
    hidden = page.locator(".cell.more")
    assert hidden.count() > 0
    assert not hidden.first.is_visible()
    page.locator(f".matrix a[href='#{hidden.first.get_attribute('id')}']").click()
    assert hidden.first.is_visible()
    page.close()


def test_a_report_can_be_printed(browser, report):
    context = browser.new_context()
    page = context.new_page()
    page.goto(report.as_uri())
    assert page.pdf(format="A4").startswith(b"%PDF")
    context.close()
