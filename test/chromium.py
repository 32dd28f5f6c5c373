"""A real headless Chromium for tests, driven by its DevTools protocol through two pipes.

Tests that need it ask for `chromium_program` and skip where no browser is installed.
"""

from __future__ import annotations

import base64
import contextlib
import itertools
import json
import os
import select
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# No answer of a small page takes longer, on a machine that does much else.
_TIMEOUT_S = 120.0
_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_FLAGS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
    *("--no-first-run", "--hide-scrollbars", "--remote-debugging-pipe"),
)

# The browser reads from the file descriptor 3 and writes to 4.
_PLACE_ENDS = 'exec "$@" 3<&0 4>&1 </dev/null >/dev/null'


def chromium_program() -> str | None:
    """Return the browser of this machine, None where there is none."""
    return next(filter(None, map(shutil.which, _NAMES)), None)


class Page:
    """One page in a running browser.

    requests: addresses that the page asked for, without itself and what it holds. problems: errors
    and warnings that the browser reported.
    """

    def __init__(self, to_browser: int, from_browser: int) -> None:
        """Talk to a browser that has just started through the ends of its pipes."""
        self._to_browser, self._from_browser = to_browser, from_browser
        self._numbers, self._unread = itertools.count(1), b""
        self._session: str | None = None
        self._loaded = False
        self.requests: list[str] = []
        self.problems: list[str] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Network", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> Any:
        """Call a method of the protocol and return its result."""
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        unsent = memoryview(json.dumps(message).encode() + b"\0")
        while unsent:
            unsent = unsent[os.write(self._to_browser, unsent) :]
        while True:
            answer = self._read()
            if answer.get("id") == number:
                assert "error" not in answer, f"{method}: {answer['error']}"
                return answer["result"]

    def open(self, address: str, width: int = 1280, height: int = 800) -> None:
        """Load an address in a window of a size, and wait until it has loaded."""
        self.resize(width, height)
        self._loaded = False
        self.requests.clear()
        self.call("Page.navigate", url=address)
        while not self._loaded:
            self._read()
        self.requests = [one for one in self.requests if one.partition("#")[0] != address]

    def resize(self, width: int, height: int) -> None:
        """Give the page a window of another size."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.call("Emulation.setDeviceMetricsOverride", **size)

    def run(self, script: str) -> Any:
        """Run JavaScript in the page and return the value of it, awaited if it is a promise."""
        done = self.call(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in done, done["exceptionDetails"]
        return done["result"].get("value")

    def text(self, selector: str) -> str:
        """Return the visible text of the first element that a selector finds."""
        return str(self.run(f"document.querySelector({json.dumps(selector)}).innerText"))

    def hover(self, x: float, y: float) -> None:
        """Move the mouse to a pixel of the window."""
        self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
        self._settle()

    def click(self, x: float, y: float) -> None:
        """Click at a pixel of the window."""
        self.hover(x, y)
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)
        self._settle()

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        """Drag with the left button from one pixel to another."""
        self.hover(*start)
        for kind, (x, y) in (("mousePressed", start), ("mouseMoved", end), ("mouseReleased", end)):
            event = {"type": kind, "x": x, "y": y, "button": "left", "buttons": 1}
            self.call("Input.dispatchMouseEvent", **event, clickCount=1)
        self._settle()

    def wheel(self, x: float, y: float, delta: float) -> None:
        """Turn the wheel at a pixel; a negative number is away from the user."""
        self.call("Input.dispatchMouseEvent", type="mouseWheel", x=x, y=y, deltaX=0, deltaY=delta)
        self._settle()

    def screenshot(self, path: Path) -> None:
        """Write what the window shows as PNG."""
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot")["data"]))

    def close(self) -> None:
        """End the browser, which may end before it answers."""
        self._session = None
        with contextlib.suppress(AssertionError, BrokenPipeError):
            self.call("Browser.close")

    def _settle(self) -> None:
        """Wait until the page has drawn what it was told."""
        self.run("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")

    def _read(self) -> Any:
        deadline = time.monotonic() + _TIMEOUT_S
        while b"\0" not in self._unread:
            ready, _, _ = select.select([self._from_browser], [], [], deadline - time.monotonic())
            assert ready, "the browser does not answer"
            read = os.read(self._from_browser, 1 << 20)
            assert read, "the browser has ended"
            self._unread += read
        message, _, self._unread = self._unread.partition(b"\0")
        answer = json.loads(message)
        self._note(answer.get("method"), answer.get("params", {}))
        return answer

    def _note(self, method: str | None, event: Any) -> None:
        if method == "Page.loadEventFired":
            self._loaded = True
        elif method == "Network.requestWillBeSent":
            address = event["request"]["url"]
            self.requests.extend([] if address.startswith("data:") else [address])
        elif method == "Runtime.exceptionThrown":
            self.problems.append(event["exceptionDetails"]["exception"].get("description", ""))
        elif method == "Log.entryAdded" and event["entry"]["level"] in {"error", "warning"}:
            self.problems.append(event["entry"]["text"])


@contextlib.contextmanager
def open_browser(program: str) -> Iterator[Page]:
    """Start a browser with a profile of its own, yield its page, and end it."""
    to_child, to_browser = os.pipe()
    from_browser, from_child = os.pipe()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        browser = subprocess.Popen(
            ["sh", "-c", _PLACE_ENDS, "sh", program, *_FLAGS, f"--user-data-dir={profile}"],
            stdin=to_child,
            stdout=from_child,
            stderr=subprocess.DEVNULL,
        )
        os.close(to_child)
        os.close(from_child)
        try:
            page = Page(to_browser, from_browser)
            yield page
            # Its helpers end with it this way.
            page.close()
            browser.wait(_TIMEOUT_S)
        finally:
            browser.kill()
            browser.wait()
            os.close(to_browser)
            os.close(from_browser)
