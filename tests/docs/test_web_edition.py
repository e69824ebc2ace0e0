"""Every page of the built site in headless Chromium, with all of its widgets worked by keyboard.

No console error, no request beyond the machine, nothing that is serious for axe-core.
"""

import functools
import itertools
import json
import os
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import build_site
import nbformat
import pytest
from door import site_server
from pages import checked_exercise, is_view
from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, Request, Response, expect

from mlearn_utils import runtime
from mlearn_utils.course.lessons import load_lesson
from mlearn_utils.course.widgets.quizzes import load_bank
from tests.browser.axe import serious_faults

PAGES = [*build_site.written(build_site.ROOT), *build_site.lessons(build_site.ROOT)]
NAMES = [*(path.stem for path in PAGES), "teaching_04"]  # of the teacher's guide one: they are built alike
LESSONS = [name for name in NAMES if re.match(r"\d\d_", name)]
LOOKS = ["color-contrast", "scrollable-region-focusable", "link-in-text-block", "target-size"]
"""Rules whose verdict depends on theme and width."""

TEXT_OF = "(html) => { const n = document.createElement('p'); n.innerHTML = html; return n.textContent; }"
ALL_OF_IT = "04_maml"
SHORTEN = (
    "() => { for (const part of document.querySelectorAll('pre, mjx-container')) part.textContent = 'x'; }"
)
"""The letters of code and formulas look alike everywhere and are most of a page: axe sees them on one."""

BYTES_ALLOWED = 3_000_000
pytestmark = pytest.mark.browser


class SitePage:
    """One page, and all that went wrong on it."""

    def __init__(self, page: Page, address: str, name: str):
        self.page, self.name = page, name
        self.troubles: list[str] = []
        self.bytes = 0
        page.set_default_timeout(10_000)
        page.on("console", self._on_console)
        page.on("pageerror", lambda error: self.troubles.append(str(error)))
        page.on("request", self._on_request)
        page.on("response", self._on_response)
        page.goto(f"{address}/{name}.html")
        page.wait_for_load_state("networkidle")
        page.evaluate("window.MathJax?.startup?.promise")
        self.weight = self.bytes

    def boxes(self, kind: str) -> list[Locator]:
        return self.page.locator(f".web-{kind}").all()

    def data(self, box: Locator) -> Any:
        return json.loads(box.locator("> script").text_content() or "")

    def look_like(self, scheme: Any, width: int) -> None:
        """Give the page a theme and a width, and wait until it is laid out."""
        self.page.emulate_media(color_scheme=scheme)
        self.page.set_viewport_size({"width": width, "height": 900})
        self.page.wait_for_timeout(400)

    def photograph(self, how: str) -> None:
        """Save the page as one picture, if the variable MLEARN_SCREENSHOTS names a folder for them."""
        if folder := os.environ.get("MLEARN_SCREENSHOTS"):
            Path(folder).mkdir(parents=True, exist_ok=True)
            self.page.screenshot(path=Path(folder) / f"{self.name}_{how}.png", full_page=True)

    def press(self, control: Locator, key: str) -> None:
        control.focus()
        self.page.keyboard.press(key)

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.troubles.append(message.text)

    def _on_request(self, request: Request) -> None:
        if not request.url.startswith(("http://127.0.0.1:", "data:", "file:")):
            self.troubles.append(f"request: {request.url}")

    def _on_response(self, response: Response) -> None:
        if response.status >= 400:
            self.troubles.append(f"{response.status}: {response.url}")
        self.bytes += int(response.headers.get("content-length", "0"))


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    with site_server(site) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.fixture(scope="module", params=NAMES)
def opened(request: pytest.FixtureRequest, chromium: Browser, address: str) -> Iterator[SitePage]:
    context = chromium.new_context(viewport={"width": 1280, "height": 900}, color_scheme="light")
    yield SitePage(context.new_page(), address, request.param)
    context.close()


def shown(image: Locator) -> str:
    return image.get_attribute("src") or ""


@functools.cache
def stored(name: str) -> tuple[list[str], int]:
    """Return what the widgets of a stored notebook say, and how many cells check an exercise."""
    cells = nbformat.read(build_site.ROOT / "notebooks" / f"{name}.ipynb", as_version=4).cells
    code = [cell for cell in cells if cell.cell_type == "code"]
    exercises = load_lesson(name[:2]).EXERCISES
    texts = [out.data["text/plain"] for cell in code for out in cell.outputs if is_view(out)]
    return texts, sum(checked_exercise(cell.source, exercises) is not None for cell in code)


@pytest.mark.parametrize("opened", LESSONS, indirect=True)
def test_every_widget_of_the_notebook_is_on_its_page(opened: SitePage) -> None:
    texts, exercises = stored(opened.name)
    kinds = {
        "Explorer": "explorer",
        "Stepper": "stepper",
        "Predict": "predict",
        "Quiz": "quiz",
        "Hints": "hints",
    }

    for word, kind in kinds.items():
        assert len(opened.boxes(kind)) == sum(text.startswith(word) for text in texts), kind
    assert len(opened.boxes("film")) == sum(text.startswith(("Game", "Canvas")) for text in texts)
    assert len(opened.boxes("exercise")) == exercises


@pytest.mark.parametrize("opened", ["index"], indirect=True)
def test_the_front_page_shows_the_game_and_the_explorer(opened: SitePage) -> None:
    (film,), (explorer,) = opened.boxes("film"), opened.boxes("explorer")

    assert film.get_by_role("button", name="Pause").count() == 1  # it plays by itself, and can be stopped
    assert explorer.get_by_role("slider").count() == 1
    for way in ("To read", "To do", "To teach", "To do research"):
        assert opened.page.get_by_text(way, exact=True).count() == 1


def test_every_explorer_and_stepper_follows_its_controls(opened: SitePage) -> None:
    for box in [*opened.boxes("explorer"), *opened.boxes("stepper")]:
        data, image, caption = opened.data(box), box.locator("img"), box.locator(".web-caption")
        controls = box.locator(".web-controls :is(input, select)").all()
        assert len(controls) == len(data["sizes"])
        for control, count in zip(controls, data["sizes"], strict=True):
            assert count > 1
            is_slider = control.get_attribute("type") == "range"
            back, on = ("ArrowLeft", "ArrowRight") if is_slider else ("ArrowUp", "ArrowDown")
            opened.press(control, back if int(control.input_value()) == count - 1 else on)
            place = 0
            for each, places in zip(controls, data["sizes"], strict=True):
                place = place * places + int(each.input_value())
            expect(image).to_have_attribute("src", data["frames"][place][0])
            says = box.page.evaluate(TEXT_OF, data["frames"][place][1])
            if "\\(" not in says:
                expect(caption).to_have_text(says)
            if is_slider:
                text = control.locator("xpath=..").locator("output").inner_text()
                assert control.get_attribute("aria-valuetext") == text
        assert len({picture for picture, _ in data["frames"]}) > 1
    for box in opened.boxes("stepper"):
        on, back = box.get_by_role("button", name="Next"), box.get_by_role("button", name="Previous")
        opened.press(back, "Enter")
        expect(back).to_be_disabled()
        opened.press(on, "Space")
        expect(back).to_be_enabled()


def test_every_film_plays_and_stops(opened: SitePage) -> None:
    for box in opened.boxes("film"):
        button, image = box.get_by_role("button"), box.locator("img")
        if "Play" in button.inner_text():
            opened.press(button, "Enter")
        before = shown(image)
        expect(image).not_to_have_attribute("src", before)
        opened.press(button, "Enter")
        expect(button).to_have_text("▶ Play")
    for box in opened.boxes("animation"):
        button, image = box.get_by_role("button"), box.locator("img")
        assert shown(image).endswith("-film.png")
        opened.press(button, "Enter")
        expect(image).to_have_attribute("src", re.compile(r"\.webp$"))


def test_every_prediction_is_committed_to_and_then_answered(opened: SitePage) -> None:
    for box in opened.boxes("predict"):
        data, answer = opened.data(box), box.locator(".web-caption")
        commit = box.get_by_role("button", name="Commit and reveal")
        opened.press(commit, "Enter")
        expect(answer).to_have_text(data["first"])
        inputs = box.locator("input")
        opened.press(inputs.first, "ArrowRight" if inputs.first.get_attribute("type") == "range" else "Space")
        opened.press(commit, "Enter")
        expect(answer).not_to_have_text(data["first"])
        assert len(answer.inner_text()) > 20
        expect(commit).to_be_disabled()
        if box.locator("img").count():
            expect(box.locator("img")).to_be_visible()


def test_every_question_is_answered_with_the_reason_of_each_choice(opened: SitePage) -> None:
    for box in opened.boxes("quiz"):
        bank = load_bank(runtime.data_path(f"lesson_{opened.name[:2]}", "quiz.json"))
        cards, right = box.locator(".web-question").all(), 0
        assert len(cards) == len(bank)
        for k, (card, question) in enumerate(zip(cards, bank, strict=True)):
            correct = [choice.correct for choice in question.choices].index(True)
            pick = correct if k % 2 else (correct + 1) % len(question.choices)
            check, feedback = card.get_by_role("button", name="Check"), card.locator(".web-feedback")
            opened.press(check, "Enter")
            expect(feedback).to_have_text("Choose an answer first.")
            opened.press(card.locator("input").nth(pick), "Space")
            opened.press(check, "Enter")
            expect(feedback).to_contain_text("✔ Right." if pick == correct else "✘ Not this one.")
            expect(feedback.locator("li")).to_have_count(len(question.choices))
            right += pick == correct
        expect(box.locator(".web-score")).to_contain_text(f"{right} right, {len(bank)} of {len(bank)}")


def test_hints_open_one_after_the_other_and_then_the_solution(opened: SitePage) -> None:
    for box in [*opened.boxes("exercise"), *opened.boxes("hints")]:
        listed = box.locator("details.web-hint")
        for k in range(listed.count()):
            expect(listed.nth(k)).to_be_visible()
            if k + 1 < listed.count():
                expect(listed.nth(k + 1)).to_be_hidden()
            opened.press(listed.nth(k).locator("summary"), "Enter")
            expect(listed.nth(k).locator("p")).to_be_visible()
    for box in opened.boxes("exercise"):
        opened.press(box.get_by_text("Show one way to write it"), "Enter")
        expect(box.locator("pre")).to_contain_text("def ")


def test_every_picture_has_words_and_headings_are_in_order(opened: SitePage) -> None:
    alts = opened.page.locator(".bd-article img").evaluate_all("(all) => all.map((image) => image.alt)")
    levels = opened.page.locator(".bd-article :is(h1, h2, h3, h4, h5)").evaluate_all(
        "(all) => all.map((heading) => Number(heading.tagName[1]))"
    )

    assert all(len(alt) > 10 and not re.search(r"[0-9a-f]{20}", alt) for alt in alts)
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))


def test_all_math_is_set(opened: SitePage) -> None:
    article = opened.page.locator(".bd-article")

    assert opened.page.locator("mjx-merror").count() == 0
    assert not re.search(r"\\\(|\$\$", article.evaluate("(node) => node.innerText.replace(/\\$ ?pip/g, '')"))


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 390)])
def test_no_page_is_wider_than_its_window(opened: SitePage, scheme: Any, width: int) -> None:
    opened.look_like(scheme, width)
    opened.photograph(f"{width}_{scheme}")

    assert opened.page.evaluate("document.documentElement.scrollWidth - window.innerWidth") <= 0


@pytest.mark.parametrize(("scheme", "width", "rules"), [("light", 1280, []), ("dark", 390, LOOKS)])
def test_nothing_serious_for_axe_also_after_all_was_answered(
    opened: SitePage, scheme: Any, width: int, rules: list[str]
) -> None:
    opened.look_like(scheme, width)
    if opened.name != ALL_OF_IT:
        opened.page.evaluate(SHORTEN)
    assert serious_faults(opened.page, rules=rules) == []


def test_nothing_went_wrong_and_the_page_is_light(opened: SitePage) -> None:
    assert opened.troubles == []
    assert opened.weight < BYTES_ALLOWED
    if opened.name in LESSONS:
        print(f"{opened.name}: {opened.weight / 1e3:.0f} kB")


def test_a_page_also_works_from_the_disk(chromium: Browser, site: Path) -> None:
    page = SitePage(chromium.new_page(), site.as_uri(), LESSONS[0])
    explorer = page.boxes("explorer")[0]
    before = shown(explorer.locator("img"))
    page.press(explorer.get_by_role("slider").first, "ArrowRight")

    expect(explorer.locator("img")).not_to_have_attribute("src", before)
    assert page.troubles == []
    page.page.close()
