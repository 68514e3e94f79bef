"""A headless Chromium that shows pages of this package, driven by the DevTools protocol over two pipes."""

from __future__ import annotations

import base64
import contextlib
import itertools
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

NAMES = ("chromium", "chromium-browser", "google-chrome")
OPTIONS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run",
           "--disable-dev-shm-usage", "--hide-scrollbars", "--mute-audio", "--disable-extensions",
           "--remote-debugging-pipe")
TIMEOUT_S = 60.0

WIDTHS = (360, 390, 1280, 1920)

LAYOUT, CONTRAST = (Path(__file__).with_name(name).read_text() for name in ("page_layout.js", "page_contrast.js"))
"""What a page's layout and colors are checked with."""


class Browser:
    """One browser with one page. Context manager.

    Attributes:
        faults: Lines of the console, errors of scripts and of the page, and requests for anything but the page itself.
    """

    def __init__(self, program: str) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="regionmask_ros_browser_")
        to_browser, self._write = os.pipe()
        self._read, from_browser = os.pipe()
        command = [program, *OPTIONS, f"--user-data-dir={self._folder.name}", "about:blank"]
        # The protocol is spoken on the descriptors 3 and 4.
        script = f'exec "$@" 3<&{to_browser} 4>&{from_browser}'
        self._process = subprocess.Popen(
            ["bash", "-c", script, "bash", *command], pass_fds=(to_browser, from_browser), stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        os.close(to_browser)
        os.close(from_browser)
        self._pending = b""
        self._numbers = itertools.count(1)
        self._session = ""
        self._events: list[dict] = []
        self._home = ""
        self.faults: list[str] = []

    def __enter__(self) -> Browser:
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        return self

    def __exit__(self, *exception: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        # Its other processes end a little later, and write into its folder until then.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        os.close(self._write)
        os.close(self._read)
        deadline = time.monotonic() + TIMEOUT_S
        while Path(self._folder.name).exists() and time.monotonic() < deadline:
            shutil.rmtree(self._folder.name, ignore_errors=True)
        self._folder.cleanup()

    def call(self, method: str, **parameters: object) -> dict:
        """Calls a method of the protocol and returns its result."""
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            reply = self._next()
            if reply.get("id") == number:
                assert "error" not in reply, reply["error"]
                return reply["result"]

    def show(self, page: Path | str, width: int, height: int = 900, dark: bool = False, moving: bool = False) -> None:
        """Shows a page, and waits until it is loaded. A page with an address may ask its own server for more."""
        self._home = page if isinstance(page, str) else ""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        features = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"},
                    {"name": "prefers-reduced-motion", "value": "no-preference" if moving else "reduce"}]
        self.call("Emulation.setEmulatedMedia", features=features)
        self._events.clear()
        self.call("Page.navigate", url=self._home or Path(page).resolve().as_uri())
        while not any(event["method"] == "Page.loadEventFired" for event in self._events):
            self._next()

    def evaluate(self, script: str):
        """Evaluates JavaScript, waits for its promise, and returns the value."""
        result = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    def wait_for(self, condition: str) -> None:
        """Waits until an expression in JavaScript is true, which is evaluated before each frame that is drawn."""
        self.evaluate(f"new Promise(done => {{ const look = () => ({condition}) ? done(true) : "
                      "requestAnimationFrame(look); look(); })")

    def press(self, key: str, shift: bool = False, control: bool = False) -> None:
        """Presses a key, by its name in the DOM."""
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, modifiers=8 * shift + 2 * control,
                      windowsVirtualKeyCode={"ArrowRight": 39, "ArrowLeft": 37, "Tab": 9}.get(key, 0))

    def drag(self, points: Sequence[tuple[float, float]], button: str = "left") -> None:
        """Presses a mouse button at the first point, moves over all others, and releases it at the last one."""
        held = {"left": 1, "right": 2}[button]
        moves = [("mouseMoved", points[0], 0), ("mousePressed", points[0], held),
                 *(("mouseMoved", point, held) for point in points[1:]), ("mouseReleased", points[-1], 0)]
        for kind, (x, y), buttons in moves:
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button=button, buttons=buttons, clickCount=1)

    def screenshot(self) -> np.ndarray:
        """The whole page, uint8 [height, width, 3], BGR."""
        data = base64.b64decode(self.call("Page.captureScreenshot", captureBeyondViewport=True)["data"])
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        assert image is not None
        return image

    def _next(self) -> dict:
        while b"\0" not in self._pending:
            part = os.read(self._read, 1 << 16)
            assert part, "the browser has ended"
            self._pending += part
        reply, _, self._pending = self._pending.partition(b"\0")
        message = json.loads(reply)
        if "method" in message:
            self._events.append(message)
            self._note(message["method"], message["params"])
        return message

    def _note(self, method: str, parameters: dict) -> None:
        if method == "Runtime.consoleAPICalled":
            self.faults.append(f"console: {parameters['args']}")
        elif method == "Runtime.exceptionThrown":
            self.faults.append(f"script: {parameters['exceptionDetails']['text']}")
        elif method == "Log.entryAdded":
            self.faults.append(f"log: {parameters['entry']['text']}")
        elif method == "Network.requestWillBeSent":
            url = parameters["request"]["url"]
            is_own = url.startswith(("data:", "about:")) or (self._home and url.startswith(self._home))
            if not is_own and parameters["type"] != "Document":
                self.faults.append(f"request: {url[:80]}")


def check_page(browser: Browser, path: Path) -> None:
    """Checks a page at all widths, light and dark: it is quiet and complete, nothing overlaps or leaves its box."""
    browser.faults.clear()
    for width in WIDTHS:
        browser.show(path, width, dark=width == WIDTHS[1])
        assert browser.evaluate(LAYOUT) == [], f"{width} pixels wide"
        contrast, where = browser.evaluate(CONTRAST)
        assert contrast >= 4.5, f"contrast {contrast:.1f} of {where}, {width} pixels wide"
    assert browser.faults == []
