"""Browser: Debian's Chromium without a window, to look at pages as a reader does."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from needs import CHROMIUM
from selenium import webdriver
from selenium.webdriver.chrome.service import Service


@pytest.fixture(scope="session")
def chromium() -> Iterator[webdriver.Chrome]:
    binary, driver = shutil.which("chromium"), shutil.which("chromedriver")
    assert binary, CHROMIUM.reason
    assert driver, CHROMIUM.reason
    options = webdriver.ChromeOptions()
    options.binary_location = binary
    # As root, as CI runs, Chromium's own sandbox does not start; nor has /dev/shm room there.
    for flag in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    opened = webdriver.Chrome(options=options, service=Service(driver))
    yield opened
    opened.quit()


def look(
    chromium: webdriver.Chrome, page: Path, *, width: int = 1200, scheme: str = "light"
) -> webdriver.Chrome:
    """Open a page in a window so wide, with the system set to light or dark."""
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    chromium.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    # Offline, so that a page which wants the network shows it.
    chromium.execute_cdp_cmd("Network.enable", {})
    offline = {"offline": True, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
    chromium.execute_cdp_cmd("Network.emulateNetworkConditions", offline)
    chromium.get_log("browser")  # what earlier pages said
    chromium.get(page.as_uri())
    return chromium
