# ruff: noqa: ANN401
"""The browser that tests of the page drive: Chromium, or Debian's own Firefox.

`VFX_MATTE_TEST_BROWSER=firefox` takes Firefox, which Playwright drives by WebDriver BiDi: it wants
a Playwright that asks this Firefox for nothing that it does not know (1.62 and Firefox 153 go
together).
"""

from __future__ import annotations

import os
import shutil
from typing import Any

FIREFOX = os.environ.get("VFX_MATTE_TEST_BROWSER") == "firefox"
_NAMES = ("firefox-esr", "firefox") if FIREFOX else ("chromium", "google-chrome", "chrome")
EXECUTABLE = next(filter(None, map(shutil.which, _NAMES)), None)
"""The browser's program; None where there is none."""


def launched(playwright: Any) -> Any:
    """The browser, of a Playwright that runs."""
    if FIREFOX:
        return playwright.firefox.launch(channel="moz-firefox", executable_path=EXECUTABLE)
    return playwright.chromium.launch(executable_path=EXECUTABLE, args=["--no-sandbox"])
