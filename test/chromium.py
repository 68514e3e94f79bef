"""A headless Chromium for tests of pages, driven over its debugging pipe: one JSON message after the other, each way.

It needs no driver and no library, opens no port, and ends with the pipe.
"""

from __future__ import annotations

import base64
import fcntl
import itertools
import json
import os
import select
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run",
         "--disable-extensions", "--disable-component-update", "--disable-sync", "--mute-audio", "--hide-scrollbars",
         "--remote-debugging-pipe")
TIMEOUT_S = 60.0
"""Only a browser that hangs needs it."""

FIRST_OWN_FD = 20
LAUNCHER = "import os, sys; [os.dup2(int(sys.argv[n]), n + 2) for n in (1, 2)]; os.execv(sys.argv[3], sys.argv[3:])"
"""The browser reads from descriptor 3 and writes to 4."""


def find_chromium() -> str:
    """The program; skips the test where there is none."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip(f"NO BROWSER: none of {', '.join(NAMES)} is installed, so no page is tested")
    return found


class Chromium:
    """Context manager: a browser with a new profile.

    Args:
        profile: Folder for the profile.
    """

    def __init__(self, profile: Path) -> None:
        to_browser, self._inlet = os.pipe()
        self._outlet, from_browser = os.pipe()
        theirs = [fcntl.fcntl(fd, fcntl.F_DUPFD, FIRST_OWN_FD) for fd in (to_browser, from_browser)]
        self._process = subprocess.Popen(
            [sys.executable, "-S", "-c", LAUNCHER, *map(str, theirs), find_chromium(), *FLAGS,
             f"--user-data-dir={profile}"],
            pass_fds=theirs, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for fd in (to_browser, from_browser, *theirs):
            os.close(fd)
        self._numbers, self._received = itertools.count(1), b""
        self.events: list[dict[str, Any]] = []

    def __enter__(self) -> Chromium:
        return self

    def __exit__(self, *exception: object) -> None:
        os.close(self._inlet)
        os.close(self._outlet)
        self._process.terminate()
        self._process.wait(TIMEOUT_S)

    def call(self, method: str, session: str = "", **parameters: Any) -> dict[str, Any]:
        """Calls a method of the DevTools protocol and returns its result."""
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": parameters, **({"sessionId": session} if session else {})}
        os.write(self._inlet, json.dumps(message).encode() + b"\0")
        while (answer := self._read()).get("id") != number:
            self.events.append(answer)
        assert "error" not in answer, f"{method}: {answer['error']}"
        return answer["result"]

    def _read(self) -> dict[str, Any]:
        while b"\0" not in self._received:
            assert select.select([self._outlet], [], [], TIMEOUT_S)[0], "the browser hangs"
            part = os.read(self._outlet, 1 << 20)
            assert part, "the browser has ended"
            self._received += part
        message, _, self._received = self._received.partition(b"\0")
        return json.loads(message)

    def open(self, address: str, width: int = 1280, height: int = 900, dark: bool = False) -> Page:
        """Opens a page in a window of that size."""
        return Page(self, address, width, height, dark)


class Page:
    """A page in a tab of its own."""

    def __init__(self, browser: Chromium, address: str, width: int, height: int, dark: bool) -> None:
        self._browser = browser
        target = browser.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = browser.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        self.resize(width, height)
        self.call("Emulation.setEmulatedMedia", features=[
            {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])
        self.call("Page.navigate", url=address)
        self.wait_for("document.readyState === 'complete' && location.href !== 'about:blank'")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Calls a method of the DevTools protocol for this tab."""
        return self._browser.call(method, self._session, **parameters)

    def resize(self, width: int, height: int) -> None:
        """Gives the window another size."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def run(self, script: str) -> Any:
        """The value of an expression; a promise is awaited."""
        answer = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait_for(self, condition: str) -> None:
        """Returns when an expression is true; it is looked at before each frame that the page draws."""
        while True:
            try:
                self.run(f"new Promise(done => {{ const look = () => ({condition}) ? done(true) : "
                         "requestAnimationFrame(look); look(); })")
                return
            except AssertionError as error:
                # The promise goes with the page before, when another one is loaded.
                if not any(text in str(error) for text in ("navigated", "context was destroyed", "Cannot find")):
                    raise

    def drag(self, points: list[tuple[float, float]], button: str = "left") -> None:
        """Presses a mouse button at the first point, moves over all others, and releases it at the last one."""
        (x, y), buttons = points[0], {"left": 1, "right": 2}[button]
        self._mouse("mouseMoved", x, y, "none", 0)
        self._mouse("mousePressed", x, y, button, buttons)
        for x, y in points[1:]:
            self._mouse("mouseMoved", x, y, button, buttons)
        self._mouse("mouseReleased", x, y, button, 0)

    def _mouse(self, kind: str, x: float, y: float, button: str, buttons: int) -> None:
        self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button=button, buttons=buttons, clickCount=1)

    def press(self, key: str, shift: bool = False, control: bool = False) -> None:
        """Presses a key on the keyboard, by its name in the DOM."""
        modifiers = (8 if shift else 0) | (2 if control else 0)
        for kind in ("rawKeyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, modifiers=modifiers)

    def screenshot(self, path: Path) -> None:
        """Writes a PNG of the whole page."""
        answer = self.call("Page.captureScreenshot", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(answer["data"]))

    @property
    def problems(self) -> list[str]:
        """Errors and warnings of the console so far, uncaught exceptions, and requests that have failed."""
        self.run("0")
        found = []
        for event in self._browser.events:
            parameters = event.get("params", {})
            if event.get("sessionId") != self._session:
                continue
            if event["method"] == "Runtime.exceptionThrown":
                found.append(parameters["exceptionDetails"]["text"])
            elif event["method"] == "Log.entryAdded" and parameters["entry"]["level"] in ("error", "warning"):
                found.append(parameters["entry"]["text"])
            elif event["method"] == "Runtime.consoleAPICalled" and parameters["type"] in ("error", "warning", "assert"):
                found.append(str(parameters["args"]))
            elif event["method"] == "Network.loadingFailed" and not parameters.get("canceled"):
                found.append(parameters["errorText"])
        return found

    def overflowing(self) -> list[str]:
        """Elements that reach beyond the right edge of the window, or into whose box their text does not fit."""
        return self.run("""[...document.body.querySelectorAll('*')].filter(one => {
            const box = one.getBoundingClientRect();
            if (!box.width || !box.height) return false;
            const clips = getComputedStyle(one).overflowX;
            return box.right > document.documentElement.clientWidth + 0.5 || box.left < -0.5
                || (clips === 'visible' && one.scrollWidth > one.clientWidth + 1 && one.clientWidth > 0);
        }).map(one => `${one.tagName}#${one.id}.${one.className}`)""")
