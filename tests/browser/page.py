"""One notebook open in JupyterLab in a browser: run it, work its widgets, edit a cell, look for trouble."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from build import WIDGET_VIEW, faults
from nbformat import from_dict
from playwright.sync_api import ConsoleMessage, Error, Locator, Page, Request, expect

START_MS, RUN_MS, ANSWER_MS = 60_000, 240_000, 20_000

OPEN = "window.jupyterapp?.shell?.currentWidget?.context"
# JupyterLab shows "idle" before there is a kernel; running then would ask which one.
KERNEL_READY = f"""(path) => {{
    const context = {OPEN};
    return context?.path === path && context.isReady && context.sessionContext.isReady
        && context.sessionContext.session?.kernel?.connectionStatus === 'connected'
        && context.sessionContext.session.kernel.status === 'idle';
}}"""
RUN_ALL = """() => {
    window.courseRun = 'running';
    jupyterapp.commands.execute('notebook:run-all-cells').then(
        () => { window.courseRun = 'done'; }, (error) => { window.courseRun = String(error); });
}"""
RUN_CELL = """([index, source]) => {
    window.courseRun = 'running';
    const notebook = jupyterapp.shell.currentWidget.content;
    notebook.activeCellIndex = index;
    notebook.deselectAll();
    if (source !== null) notebook.activeCell.model.sharedModel.setSource(source);
    jupyterapp.commands.execute('notebook:run-cell').then(
        () => { window.courseRun = 'done'; }, (error) => { window.courseRun = String(error); });
}"""
RUN_ENDED = "() => window.courseRun !== 'running'"
# Pictures are nine tenths of a notebook, and no test reads them from here.
CELLS = """() => jupyterapp.shell.currentWidget.content.model.sharedModel.cells.map((cell) => {
    const { outputs, ...rest } = cell.toJSON();
    const bare = ({ 'image/png': _, ...data }) => data;
    const light = (output) => output.data ? { ...output, data: bare(output.data) } : output;
    return outputs ? { ...rest, outputs: outputs.map(light) } : rest;
})"""
FIND_CELL = """(text) => jupyterapp.shell.currentWidget.content.model.sharedModel.cells.findIndex(
    (cell) => cell.cell_type === 'code' && cell.getSource().includes(text))"""
OPEN_ANOTHER = "async (path) => { await jupyterapp.commands.execute('docmanager:open', { path }); }"
CLOSE = """async () => {
    const { shell } = jupyterapp, { context } = shell.currentWidget;
    await context.sessionContext.shutdown();
    context.model.dirty = false;  // or it asks whether to save
    shell.currentWidget.close();
}"""


class NotebookPage:
    """A notebook in a browser's page.

    Args:
        page: an empty page, or one whose last notebook was closed; every request and console error from now
            on is noted.
        lab_url: the address of a running JupyterLab, with its token.
    """

    def __init__(self, page: Page, lab_url: str):
        self.page = page
        self.lab_url = lab_url
        self.console_errors: list[str] = []
        self.outside: list[str] = []
        page.on("request", self._on_request)
        page.on("console", self._on_console)
        page.on("pageerror", self._on_error)

    def open(self, name: str) -> None:
        """Open a notebook below the server's root and wait for its kernel; JupyterLab is loaded but once."""
        self.name = name
        if self.page.url == "about:blank":
            self.page.goto(self.lab_url.replace("/lab?", f"/doc/tree/{name}?reset&"))
        else:
            self.page.evaluate(OPEN_ANOTHER, name)
        self.page.wait_for_function(KERNEL_READY, arg=name, timeout=START_MS)

    def close(self) -> None:
        """End the kernel and close the notebook; the page stays, for the next one."""
        self.page.evaluate(CLOSE)
        expect(self.page.locator(".jp-Notebook")).to_have_count(0)
        self.page.remove_listener("request", self._on_request)
        self.page.remove_listener("console", self._on_console)
        self.page.remove_listener("pageerror", self._on_error)

    def run_all(self) -> None:
        """Run every cell and wait for the end."""
        self.page.evaluate(RUN_ALL)
        self._wait_for_run()

    def run_cell(self, index: int, source: str | None = None) -> Locator:
        """Run cell `index`, with `source` in its place if given; return its output area."""
        self.page.evaluate(RUN_CELL, [index, source])
        self._wait_for_run()
        return self.cell(index).locator(".jp-OutputArea").first

    def cells(self) -> list[dict[str, Any]]:
        """Return the cells as nbformat has them, without their pictures."""
        return self.page.evaluate(CELLS)

    def find_cell(self, text: str) -> int:
        """Return the index of the first code cell that holds `text`."""
        index = self.page.evaluate(FIND_CELL, text)
        assert index >= 0, f"no code cell holds {text!r}"
        return index

    def cell(self, index: int) -> Locator:
        """Return cell `index` in the page."""
        return self.page.locator(".jp-Notebook-cell").nth(index)

    def all(self, css: str) -> list[Locator]:
        """Return every element of the notebook that `css` finds."""
        return self.page.locator(f".jp-Notebook {css}").all()

    def wait_for(self, css: str, count: int) -> None:
        """Wait until `css` finds `count` elements of the notebook."""
        expect(self.page.locator(f".jp-Notebook {css}")).to_have_count(count, timeout=ANSWER_MS)

    def count_widgets(self) -> int:
        """Return how many outputs are widgets."""
        outputs = [output for cell in self.cells() for output in cell.get("outputs", [])]
        return sum(WIDGET_VIEW in output.get("data", {}) for output in outputs)

    def shown(self, box: Locator) -> str:
        """Return what identifies the picture that a widget shows; every new picture has a new address."""
        return box.locator("img").first.get_attribute("src") or ""

    def nudge(self, handle: Locator) -> None:
        """Move a slider by one key press, to whichever side there is room."""
        at_end = handle.get_attribute("aria-valuenow") == handle.get_attribute("aria-valuemax")
        handle.press("ArrowLeft" if at_end else "ArrowRight")

    def drag(self, image: Locator, start: float, end: float) -> None:
        """Drag in a picture at half its height, from and to fractions of its width."""
        image.scroll_into_view_if_needed()
        box = image.bounding_box()
        assert box is not None
        x, y, width = box["x"], box["y"] + box["height"] / 2, box["width"]
        self.page.mouse.move(x + start * width, y)
        self.page.mouse.down()
        self.page.mouse.move(x + end * width, y, steps=4)
        self.page.mouse.up()

    def wait_until_shown_differs(self, box: Locator, before: str) -> None:
        """Wait until a widget shows another picture than `before`."""
        expect(box.locator("img").first).not_to_have_attribute("src", before, timeout=ANSWER_MS)

    def troubles(self) -> list[str]:
        """Return what no reader should meet: a broken widget, stderr, an error, a foreign request."""
        found = [f"console: {text}" for text in self.console_errors]
        found += [f"request: {url}" for url in self.outside]
        shown = "\n".join(self.page.locator(".jp-OutputArea-output").all_text_contents())
        found += [text for text in ("Error displaying widget", "model not found") if text in shown]
        found += [f"widget: {box.inner_text()}" for box in self.all(".mlearn-error")]
        for i, cell in enumerate(self.cells()):
            if cell["cell_type"] == "code":
                found += [f"cell {i}: {fault}" for fault in faults(from_dict(cell))]
        return found

    @contextmanager
    def width_of(self, pixels: int) -> Iterator[None]:
        """Make the window as narrow as a phone's for a while."""
        before = self.page.viewport_size
        assert before is not None
        self.page.set_viewport_size({"width": pixels, "height": before["height"]})
        self.page.wait_for_timeout(400)  # the notebook is laid out anew
        yield
        self.page.set_viewport_size(before)

    @contextmanager
    def theme_of(self, name: str) -> Iterator[None]:
        """Give JupyterLab another theme for a while."""
        before = self.page.evaluate("document.body.dataset.jpThemeName")
        self._set_theme(name)
        yield
        self._set_theme(before)

    def look(self) -> dict[str, Any]:
        """Return what a designer would mark on the page as it is, by kind; `look.js` measures it."""
        return self.page.evaluate(Path(__file__).with_name("look.js").read_text(encoding="utf-8"))

    def photograph(self) -> None:
        """Save the page in several images, if the variable MLEARN_SCREENSHOTS names a folder for them."""
        folder = os.environ.get("MLEARN_SCREENSHOTS")
        if not folder:
            return
        Path(folder).mkdir(parents=True, exist_ok=True)
        scroller = self.page.locator(".jp-WindowedPanel-outer").first
        height, step = scroller.evaluate("(node) => [node.scrollHeight, node.clientHeight - 40]")
        for k, top in enumerate(range(0, height, step)):
            scroller.evaluate("(node, top) => node.scrollTo(0, top)", top)
            self.page.wait_for_timeout(150)
            self.page.screenshot(path=Path(folder) / f"{Path(self.name).stem}_{k:02d}.png")

    def _set_theme(self, name: str) -> None:
        change = "(theme) => jupyterapp.commands.execute('apputils:change-theme', { theme })"
        self.page.evaluate(change, name)
        self.page.wait_for_function("(theme) => document.body.dataset.jpThemeName === theme", arg=name)

    def _wait_for_run(self) -> None:
        self.page.wait_for_function(RUN_ENDED, timeout=RUN_MS)
        ended = self.page.evaluate("window.courseRun")
        if ended != "done":
            raise AssertionError(f"{self.name}: running ended with {ended}")

    def _on_error(self, error: Error) -> None:
        self.console_errors.append(str(error))

    def _on_request(self, request: Request) -> None:
        address = urlsplit(request.url)
        if address.scheme in {"http", "https", "ws", "wss"} and address.hostname != "127.0.0.1":
            self.outside.append(request.url)

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.console_errors.append(f"{message.text} ({message.location.get('url', '')})")
