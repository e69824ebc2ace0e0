"""Where a Chromium is: the system's, or the one that Playwright installed."""

import shutil
from functools import lru_cache
from pathlib import Path

from playwright.sync_api import sync_playwright


@lru_cache
def find_chromium() -> str | None:
    """Return the path of a Chromium, None where there is none."""
    for name in ("chromium", "chromium-browser", "google-chrome", "chrome"):
        found = shutil.which(name)
        if found:
            return found
    with sync_playwright() as playwright:
        own = playwright.chromium.executable_path
    return own if Path(own).exists() else None
