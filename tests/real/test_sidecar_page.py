"""The status page in a real browser: live, without script, and with hostile text."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser
from playwright.async_api import Page
from playwright.async_api import async_playwright

from probe.mock.server import Mock
from tests.sidecar.running import Client
from tests.sidecar.running import put
from tests.sidecar.running import running
from tests.support import servers
from tests.support.components import require

pytestmark = [pytest.mark.asyncio, pytest.mark.real]

HOSTILE = "<img src=x onerror=\"document.title='broken'\"><script>document.title='broken'</script>"
SIZES = {"desktop": (1280, 900), "phone": (390, 844)}

# Contrast as WCAG 2.1 counts it (1.4.3): each text against the ground behind it.
CONTRASTS = """
() => {
  const part = (c) => (c /= 255) <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  const light = (rgb) => {
    const [r, g, b] = rgb.match(/[0-9.]+/g).slice(0, 3).map(Number).map(part);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (e) => {
    for (; e; e = e.parentElement) {
      const colour = getComputedStyle(e).backgroundColor;
      if (!colour.endsWith(", 0)")) return colour;
    }
    return "rgb(255, 255, 255)";
  };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const e = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !e.checkVisibility() || e.closest("script")) continue;
    const [a, b] = [light(getComputedStyle(e).color), light(ground(e))].sort((x, y) => y - x);
    found.push([(a + 0.05) / (b + 0.05), walker.currentNode.data.trim()]);
  }
  return found.sort((x, y) => x[0] - y[0])[0];
}
"""


@contextlib.asynccontextmanager
async def browsing(**context: Any) -> AsyncIterator[tuple[Page, list[str]]]:
    """Open a page in Chromium; what it complains of (errors, policy, failed loads) is collected."""
    program = require("chromium")
    async with async_playwright() as playwright:
        browser: Browser = await playwright.chromium.launch(
            executable_path=program, args=["--no-sandbox"]
        )
        page = await (await browser.new_context(**context)).new_page()
        complaints: list[str] = []
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda told: complaints.append(told.text))
        page.on("requestfailed", lambda request: complaints.append(request.url))
        try:
            yield page, complaints
        finally:
            await browser.close()


@contextlib.asynccontextmanager
async def shown(folder: Path, mock: Mock, name: str = "flags") -> AsyncIterator[Client]:
    """Run a sidecar on the mock, and on a port where nothing listens."""
    with servers.refusing() as dead:
        config = folder / "sidecar.yml"
        rows = [
            {"name": name, "port": mock.port, "kind": "sync", "read_body": True,
             "timeout": "0.5s", "labels": {"team": name}},
            {"name": "dead", "port": dead, "failure_threshold": 2},
        ]  # fmt: skip
        put(config, json.dumps({"defaults": {"interval": "100ms"}, "targets": rows}))
        async with running(config) as client:
            await client.until("/", lambda answer: "unhealthy: refused" in answer.text)
            yield client


async def until(page: Page, script: str) -> None:
    """Wait for *script* to be true; the page's policy forbids playwright's own way (eval)."""
    async with asyncio.timeout(10):
        while not await page.evaluate(script):  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def test_live(tmp_path: Path) -> None:
    """A target that fails is seen to, without a load of the page; open details stay open."""
    with Mock() as mock:
        async with shown(tmp_path, mock) as client, browsing() as (page, complaints):
            await page.goto(client.main)
            await page.evaluate("window.same = true")
            article = page.locator("article", has_text="flags")
            assert await article.locator(".state b").inner_text() == "healthy"
            await article.locator("summary").focus()
            await page.keyboard.press("Enter")
            assert await article.locator("table").first.is_visible()
            await asyncio.to_thread(mock.set, "refuse")
            await until(page, "document.querySelectorAll('article.unhealthy').length === 2")
            assert await page.title() == "2 unhealthy of 2 targets - probe"
            await asyncio.to_thread(mock.set, "healthy")
            await until(page, "document.querySelectorAll('article.healthy').length === 1")
            article = page.locator("article", has_text="flags")
            assert await article.locator("table").first.is_visible()
            assert await page.evaluate("document.activeElement.tagName") == "SUMMARY"
            assert await page.evaluate("window.same") is True
            assert complaints == []


async def test_says_when_the_sidecar_is_silent(tmp_path: Path) -> None:
    with Mock() as mock:
        async with browsing() as (page, _):
            async with shown(tmp_path, mock) as client:
                await page.goto(client.main)
                assert not await page.locator("#silent").is_visible()
            await until(page, "!document.getElementById('silent').hidden")
            assert await page.locator("article").count() == 2


async def test_without_script(tmp_path: Path) -> None:
    """Everything is there, and the page comes anew by itself."""
    with Mock() as mock:
        started = shown(tmp_path, mock)
        async with started as client, browsing(java_script_enabled=False) as (page, complaints):
            await page.goto(client.main)
            assert await page.locator("article.healthy").count() == 1
            await page.locator("summary").first.click()
            assert await page.locator("table").first.is_visible()
            await asyncio.to_thread(mock.set, "refuse")
            await page.wait_for_event("load", timeout=10_000)
            assert await page.locator("article.unhealthy").count() == 2
            assert complaints == []


async def test_hostile_names_stay_text(tmp_path: Path) -> None:
    """No script of another runs, and what is written is read."""
    with Mock() as mock:
        started = shown(tmp_path, mock, HOSTILE)
        async with started as client, browsing() as (page, complaints):
            await page.goto(client.main)
            await until(page, "performance.getEntriesByType('resource').length > 0")
            assert await page.locator("h2", has_text=HOSTILE).count() == 1
            assert await page.locator("img").count() == 0
            assert await page.title() == "1 unhealthy, 1 healthy of 2 targets - probe"
            assert complaints == []


async def test_policy_stops_what_is_not_ours(tmp_path: Path) -> None:
    """Should text ever get out of its place, the policy still runs nothing of it."""
    with Mock() as mock:
        async with shown(tmp_path, mock) as client, browsing() as (page, complaints):
            await page.goto(client.main)
            await page.evaluate(
                "document.body.insertAdjacentHTML('beforeend',"
                " `<img src='https://x.example/x.png'><p onclick='window.ran = 1'>x</p>`);"
                "const s = document.createElement('script'); s.text = 'window.ran = 1';"
                "document.body.append(s); document.body.lastElementChild.click()"
            )
            assert await page.evaluate("window.ran") is None
            assert any("Content Security Policy" in told for told in complaints)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
async def test_readable(tmp_path: Path, size: str, scheme: str) -> None:
    """Contrast of 4.5 everywhere, nothing wider than the window, and all of it by keyboard."""
    width, height = SIZES[size]
    context = {"viewport": {"width": width, "height": height}, "color_scheme": scheme}
    with Mock() as mock:
        async with shown(tmp_path, mock) as client, browsing(**context) as (page, _):
            await page.goto(client.main)
            for summary in await page.locator("summary").all():
                await summary.click()
            worst, text = await page.evaluate(CONTRASTS)
            assert worst >= 4.5, text
            assert await page.evaluate("document.documentElement.scrollWidth") <= width
            await page.screenshot(path=tmp_path / f"{size}-{scheme}.png", full_page=True)
            reached = set()
            for _ in range(12):
                await page.keyboard.press("Tab")
                reached.add(await page.evaluate("document.activeElement.id"))
            assert {"all", "only-unhealthy", "only-healthy"} <= reached
