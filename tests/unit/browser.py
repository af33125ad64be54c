"""A browser without a window, as a reader has one: Chromium, where there is one, driven by Playwright."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
QUIET = [  # it asks for nothing by itself
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--no-first-run",
]


class Reader:
    """A page in a browser, and all that it has complained of or asked for."""

    def __init__(self, page, path: Path) -> None:
        self.page = page
        self.complaints: list[str] = []
        self.requests: list[str] = []
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", self._console)
        page.on("request", lambda request: self.requests.append(request.url))
        page.goto(path.as_uri())
        page.wait_for_selector("html[data-ready=yes]", state="attached", timeout=60_000)
        self.settle()

    def _console(self, message) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def settle(self) -> None:
        """Wait until what was asked for is drawn."""
        self.page.evaluate("() => new Promise((done) => setTimeout(() => requestAnimationFrame(done), 150))")

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)
        self.settle()

    def drag(self, slider: str, pixels: float) -> None:
        """Move the handle of a slider sideways with the mouse."""
        x, y = self._handle(slider)
        self.page.mouse.move(x, y)
        self.page.mouse.down()
        self.page.mouse.move(x + pixels, y, steps=5)
        self.page.mouse.up()
        self.settle()

    def tap(self, slider: str, pixels: float) -> None:
        """Touch a slider beside its handle, which goes there."""
        x, y = self._handle(slider)
        self.page.touchscreen.tap(x + pixels, y)
        self.settle()

    def _handle(self, slider: str) -> tuple[float, float]:
        """The middle of the handle of a slider whose name starts so, in the window."""
        handle = self.page.locator(f'.noUi-handle[aria-label^="{slider}"]')
        handle.scroll_into_view_if_needed()
        box = handle.bounding_box()
        return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2

    def text(self, name: str) -> str:
        return self.page.text_content(f"#{name}")

    def focus(self) -> str:
        """What the focus is on: its role or kind, and its name."""
        return self.page.evaluate(
            """() => {
              let at = document.activeElement;
              while (at?.shadowRoot?.activeElement) at = at.shadowRoot.activeElement;
              return `${at.getAttribute("role") ?? at.tagName} ${at.getAttribute("aria-label") ?? ""}`.trim();
            }"""
        )

    def data(self, name: str) -> dict[str, list]:
        """The columns of a source of Bokeh's, by its name."""
        return self.page.evaluate(
            """(name) => {
              const plain = (values) => Array.from(values, (one) => one?.length && typeof one !== "string"
                ? plain(one) : one);
              const { data } = Bokeh.documents[0].get_model_by_name(name);
              return Object.fromEntries(Object.keys(data).map((column) => [column, plain(data[column])]));
            }""",
            name,
        )

    def pictures(self) -> dict[str, bytes]:
        """What each figure looks like, by the place of its part in the page and in that."""
        found = {}
        for part, box in enumerate(self.page.query_selector_all(".play")):
            for number, figure in enumerate(box.query_selector_all(".bk-Figure")):
                found[f"{part}.{number}"] = figure.screenshot()
        return found


@contextmanager
def browser() -> Iterator:
    """A browser; the test is skipped where there is none."""
    playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        pytest.skip("there is no Chromium on this machine")
    with playwright.sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=program, args=QUIET, chromium_sandbox=False)
        yield started
        started.close()
