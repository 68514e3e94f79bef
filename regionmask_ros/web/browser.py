"""Shows an address to the user: on the terminal, and in a browser where there is a screen."""

from __future__ import annotations

import contextlib
import os
import sys
import webbrowser
from collections.abc import Mapping

SCREENS = ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")
"""Variables of which one is set where a browser can be opened."""


def show_address(address: str, browse: bool, environ: Mapping[str, str] = os.environ) -> None:
    """Prints the address and opens it in the user's browser.

    Args:
        address: The address.
        browse: Whether to open a browser. It is not tried where no screen is known: a browser in text mode would take
            the terminal.
        environ: The environment.
    """
    print(f"open {address}", flush=True)
    has_screen = any(environ.get(name) for name in SCREENS) or sys.platform == "darwin"
    if browse and has_screen:
        with contextlib.suppress(webbrowser.Error):
            webbrowser.open(address)
