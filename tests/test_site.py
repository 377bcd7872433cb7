"""The built site in a real browser, with every host but the local one out of reach."""

import functools
import os

import pytest
from playwright.sync_api import Page, expect

import book
from browser import CHROMIUM, MISSING, chromium, served

SITE = book.SITE
WIDTHS = {"desktop": 1440, "phone": 390}

if CHROMIUM is None:
    if os.environ.get("REQUIRE_BROWSER"):
        pytest.fail(MISSING, pytrace=False)
    pytest.skip(MISSING, allow_module_level=True)
if not (SITE / "index.html").exists():
    pytest.fail("the site is not built: run `make book` first", pytrace=False)

PAGES = [*book.pages(), "search", "genindex"]
CHAPTERS = [page for page in book.pages() if page.startswith("notebooks/")]


@pytest.fixture(scope="module")
def address():
    with served(SITE) as address:
        yield address


@pytest.fixture(scope="module")
def browser():
    with chromium() as browser:
        yield browser


class Visit:
    """A page opened with everything that went wrong on the way written down."""

    def __init__(self, page: Page, address: str):
        self.page = page
        self.faults: list[str] = []
        page.on("pageerror", lambda error: self.faults.append(f"error: {error}"))
        page.on("console", self._console)
        page.on("response", self._response)
        page.context.route("**/*", functools.partial(self._route, address))

    def _console(self, message):
        if message.type in ("error", "warning"):
            self.faults.append(f"console {message.type}: {message.text}")

    def _response(self, response):
        if response.status >= 400:
            self.faults.append(f"status {response.status}: {response.url}")

    def _route(self, address, route):
        if route.request.url.startswith((address, "data:")):
            route.continue_()
        else:
            self.faults.append(f"asked another host: {route.request.url}")
            route.abort()


@pytest.fixture
def visit(browser, address):
    contexts = []

    def open_page(name: str, **options) -> Visit:
        options = {"viewport": {"width": 1440, "height": 900}} | options
        context = browser.new_context(**options)
        contexts.append(context)
        visit = Visit(context.new_page(), address)
        visit.page.goto(f"{address}{name}.html")
        visit.page.wait_for_load_state("networkidle")
        return visit

    yield open_page
    for context in contexts:
        context.close()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("device", WIDTHS)
@pytest.mark.parametrize("name", PAGES)
def test_a_page_asks_nobody_complains_of_nothing_and_fits(visit, name, device, theme):
    size = {"width": WIDTHS[device], "height": 900}
    opened = visit(name, viewport=size, color_scheme=theme)
    page = opened.page
    if page.locator(".math").count():
        page.wait_for_selector("mjx-container", state="attached")
    assert page.locator("mjx-merror").count() == 0, page.locator("mjx-merror").first.inner_text()
    assert page.evaluate("document.documentElement.dataset.theme") == theme
    width = page.evaluate("document.documentElement.scrollWidth")
    assert width <= WIDTHS[device], f"{name} scrolls sideways: {width} px"
    assert opened.faults == []


@pytest.mark.parametrize("name", CHAPTERS)
def test_each_slider_changes_picture_and_caption_by_keyboard(visit, name):
    opened = visit(name)
    figures = opened.page.locator("figure.explorer")
    assert figures.count() >= 1, "a chapter opens with an explorer"
    for figure in figures.all():
        image, caption = figure.locator("img"), figure.locator("figcaption")
        for slider in figure.locator("input[type=range]").all():
            assert slider.get_attribute("aria-valuetext")
            start = slider.input_value()
            slider.focus()
            opened.page.keyboard.press("Home")
            seen = []
            for _ in range(int(slider.get_attribute("max")) + 1):
                seen.append(
                    (
                        image.get_attribute("src"),
                        image.get_attribute("alt"),
                        caption.inner_text(),
                        slider.get_attribute("aria-valuetext"),
                    )
                )
                opened.page.keyboard.press("ArrowRight")
            pictures, alts, captions, values = (set(column) for column in zip(*seen, strict=True))
            assert len(values) == len(alts) == len(seen)
            assert len(pictures) == len(seen), f"{slider.get_attribute('name')} changes no picture"
            assert len(captions) > 1, f"{slider.get_attribute('name')} changes no caption"
            # Back where it was: the next slider is judged where a reader finds it.
            opened.page.keyboard.press("Home")
            for _ in range(int(start)):
                opened.page.keyboard.press("ArrowRight")
            assert slider.input_value() == start
        decoded = image.evaluate("image => image.decode().then(() => image.naturalWidth)")
        assert decoded > 0
    assert opened.faults == []


@pytest.mark.parametrize("name", CHAPTERS)
def test_an_explorer_plays_and_stops(visit, name):
    page = visit(name).page
    for figure in page.locator("figure.explorer:has(button)").all():
        button, slider = figure.locator("button"), figure.locator("input").first
        before = slider.input_value()
        button.click()
        expect(button).to_have_attribute("aria-label", "Pause")
        expect(slider).not_to_have_value(before, timeout=5000)
        button.click()
        expect(button).to_have_attribute("aria-label", "Play")
        stopped = slider.input_value()
        page.wait_for_timeout(int(button.get_attribute("data-interval")) + 200)
        assert slider.input_value() == stopped


@pytest.mark.parametrize("name", CHAPTERS)
def test_who_wants_no_motion_gets_no_play_button(visit, name):
    page = visit(name, reduced_motion="reduce").page
    for button in page.locator("figure.explorer button").all():
        assert not button.is_visible()


@pytest.mark.parametrize("name", CHAPTERS)
def test_without_javascript_the_picture_and_its_caption_stand(visit, name):
    page = visit(name, java_script_enabled=False).page
    for figure in page.locator("figure.explorer").all():
        assert figure.locator("img").is_visible()
        assert figure.locator("figcaption").inner_text()
        assert not figure.locator(".controls").is_visible()
        assert "need JavaScript" in figure.locator("noscript").inner_text()


@pytest.mark.parametrize("name", CHAPTERS)
def test_figures_turn_dark_with_the_page(visit, name):
    page = visit(name, color_scheme="dark").page
    images = page.locator(".cell_output img")
    assert images.count() > 1
    for image in images.all():
        assert "invert" in image.evaluate("image => getComputedStyle(image).filter")


def test_search_finds_the_lasso(visit):
    opened = visit("search", viewport={"width": 1440, "height": 900})
    opened.page.goto(opened.page.url + "?q=lasso")
    # Sphinx adds its results one after the other: wait for the one that is asked for.
    chapter = opened.page.locator('#search-results li a[href*="02-lasso-path"]')
    expect(chapter.first).to_be_visible(timeout=10000)
    assert opened.faults == []


def test_the_policy_stops_foreign_scripts_and_requests(visit):
    page = visit(CHAPTERS[0]).page
    blocked = page.evaluate(
        """async () => {
          const seen = [];
          addEventListener("securitypolicyviolation", event => seen.push(event.effectiveDirective));
          const script = document.createElement("script");
          script.textContent = "window.intruder = true";
          document.body.append(script);
          await fetch("https://example.org/").catch(() => {});
          await new Promise(done => setTimeout(done, 100));
          return [window.intruder === true, ...seen];
        }"""
    )
    assert blocked == [False, "script-src-elem", "connect-src"]


@pytest.mark.parametrize("name", CHAPTERS)
def test_every_chapter_can_be_launched_downloaded_edited_and_cited(visit, name):
    page = visit(name).page
    links = {link.get_attribute("href") or "" for link in page.locator("a").all()}
    assert any(link.startswith("https://mybinder.org/v2/gh/") for link in links)
    assert any(link.endswith(f"{name.rpartition('/')[2]}.ipynb") for link in links)
    assert any("/edit/" in link for link in links)
    assert any("/issues/new" in link for link in links)
    assert any(link.endswith("#cite-this-book") for link in links)
