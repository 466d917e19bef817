"""A real Chromium, without a window: what it asks for, what it complains of, and what it shows."""

from __future__ import annotations

import contextlib
import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

FLAGS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--hide-scrollbars", "--force-device-scale-factor=1"),
)
OWN = ("data:", "about:", "chrome:", "chrome-error:", "blob:")


class Browser:
    """One page at a time, of a file."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def open(self, path: Path, width: int = 1280, height: int = 900, dark: bool = False) -> None:
        """Shows a file, from a clean log."""
        self.driver.get("about:blank")
        self.logs()
        self.resize(width, height, dark)
        self.driver.get(path.as_uri())

    def resize(self, width: int, height: int = 900, dark: bool = False) -> None:
        """As on a screen of that size, of a system with those colours."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})

    def ask(self, script: str, *given: Any) -> Any:
        """What a piece of JavaScript returns."""
        return self.driver.execute_script(f"return {script}", *given)

    def comes(self, script: str) -> bool:
        """Whether a condition comes to hold, as of what a browser tells a page later."""
        from selenium.webdriver.support.wait import WebDriverWait

        return bool(WebDriverWait(self.driver, 60).until(lambda _: self.ask(script)))

    def element(self, selector: str) -> Any:
        """The first that a CSS selector finds."""
        return self.driver.find_element("css selector", selector)

    def point_at(self, selector: str) -> None:
        """Brings the first that a CSS selector finds to the middle, and the mouse over it."""
        from selenium.webdriver import ActionChains

        found = self.element(selector)
        self.ask("arguments[0].scrollIntoView({block: 'center'})", found)
        ActionChains(self.driver).move_to_element(found).perform()

    def texts(self, selector: str) -> list[str]:
        """Of all that a CSS selector finds, seen or not."""
        return self.ask(
            "[...document.querySelectorAll(arguments[0])].map(x => x.textContent.trim())", selector
        )

    def logs(self) -> tuple[list[str], set[str]]:
        """What the console said, and all addresses asked for, since the last call."""
        said = [entry["message"] for entry in self.driver.get_log("browser")]
        events = [json.loads(x["message"])["message"] for x in self.driver.get_log("performance")]
        asked = [e for e in events if e["method"] == "Network.requestWillBeSent"]
        urls = {e["params"]["request"]["url"] for e in asked}
        return said, {url for url in urls if not url.startswith(OWN)}


@contextlib.contextmanager
def opened() -> Iterator[Browser]:
    """Debian's Chromium with a profile of its own, through its driver."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    assert chromium and driver, "apt-get install chromium chromium-driver"
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        options = webdriver.ChromeOptions()
        options.binary_location = chromium
        for flag in (*FLAGS, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        found = webdriver.Chrome(options=options, service=Service(driver))
        try:
            yield Browser(found)
        finally:
            found.quit()
