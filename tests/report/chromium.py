"""A real headless Chromium, driven over its own protocol (CDP): no driver program whose version has to fit."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PROGRAM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


class Page:
    """One tab. Remembers what went to the console, errors, and every request that left the page."""

    def __init__(self, url: str) -> None:
        import websocket

        self._socket = websocket.create_connection(url, timeout=60, suppress_origin=True)
        self._next = 0
        self.problems: list[str] = []
        self.requests: list[str] = []
        for domain in ("Page", "Runtime", "Log", "Network", "DOM", "Accessibility"):
            self.send(f"{domain}.enable")
        self.send("Performance.enable", timeDomain="threadTicks")

    def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._next += 1
        self._socket.send(json.dumps({"id": self._next, "method": method, "params": parameters}))
        while True:
            message = json.loads(self._socket.recv())
            if message.get("id") == self._next:
                assert "error" not in message, (method, message["error"])
                result: dict[str, Any] = message["result"]
                return result
            self._note(message)

    def _note(self, message: dict[str, Any]) -> None:
        said = message.get("params", {})
        if message["method"] == "Runtime.exceptionThrown":
            self.problems.append(json.dumps(said["exceptionDetails"])[:600])
        if message["method"] == "Runtime.consoleAPICalled" and said["type"] in ("error", "warning", "assert"):
            self.problems.append(json.dumps(said["args"])[:600])
        if message["method"] == "Log.entryAdded" and said["entry"]["level"] in ("error", "warning"):
            self.problems.append(said["entry"]["text"])
        if message["method"] == "Network.requestWillBeSent":
            self.requests.append(said["request"]["url"])

    def run(self, script: str) -> Any:
        """The value of a JavaScript expression; a promise is waited for."""
        answer = self.send("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def show(self, width: int, height: int, dark: bool = False) -> None:
        mobile = width < 600
        self.send("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=mobile)
        scheme = "dark" if dark else "light"
        self.send("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def open(self, path: Path) -> float:
        """Load a file; seconds until its charts are drawn."""
        started = time.perf_counter()
        self.send("Page.navigate", url=path.resolve().as_uri())
        self.wait("document.documentElement?.dataset?.drawn !== undefined && location.protocol === 'file:'")
        return time.perf_counter() - started

    def seconds_of_work(self) -> float:
        """Processor time of the page's main thread since it was opened: what opening takes where nothing else runs."""
        metrics = {item["name"]: item["value"] for item in self.send("Performance.getMetrics")["metrics"]}
        return float(metrics["TaskDuration"])

    def wait(self, condition: str, seconds: float = 30) -> None:
        deadline = time.monotonic() + seconds
        while not self.run(condition):
            assert time.monotonic() < deadline, f"in vain: {condition}; {self.problems}"
            time.sleep(0.02)

    def press(self, key: str, code: int, text: str = "") -> None:
        for kind in ("keyDown", "keyUp"):
            extra = {"text": text} if text and kind == "keyDown" else {}
            self.send("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code, **extra)

    def type(self, text: str) -> None:
        self.send("Input.insertText", text=text)

    def click(self, selector: str) -> None:
        """A real click of the mouse in the middle of an element."""
        element = f"document.querySelector({json.dumps(selector)})"
        self.run(f"{element}.scrollIntoView({{block: 'center', behavior: 'instant'}})")
        box = self.run(f"(b => [b.x + b.width / 2, b.y + b.height / 2])({element}.getBoundingClientRect())")
        for kind in ("mousePressed", "mouseReleased"):
            self.send("Input.dispatchMouseEvent", type=kind, x=box[0], y=box[1], button="left", clickCount=1)

    def picture(self, path: Path, whole: bool = True) -> None:
        answer = self.send("Page.captureScreenshot", format="png", captureBeyondViewport=whole, **(
            {"clip": {"x": 0, "y": 0, "scale": 1, "width": self.run("document.documentElement.clientWidth"),
                      "height": self.run("document.documentElement.scrollHeight")}} if whole else {}
        ))  # fmt: skip
        path.write_bytes(base64.b64decode(answer["data"]))

    def close(self) -> None:
        self._socket.close()


@contextmanager
def chromium() -> Iterator[Page]:
    """A fresh browser with a profile of its own, gone afterwards."""
    assert PROGRAM is not None
    with tempfile.TemporaryDirectory(prefix="saidpo-chromium-", ignore_cleanup_errors=True) as profile:
        flags = [
            "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-extensions",
            "--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage",
            "--remote-debugging-port=0", "--force-color-profile=srgb", f"--user-data-dir={profile}",
        ]  # fmt: skip
        environment = {**os.environ, "HOME": profile}
        process = subprocess.Popen(
            [PROGRAM, *flags, "about:blank"], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            page = Page(_tab(Path(profile), process))
            yield page
            page.send("Browser.close")
            page.close()
            process.wait(20)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()


def _tab(profile: Path, process: subprocess.Popen[bytes]) -> str:
    """The address of the tab's socket; Chromium writes its port into the profile."""
    from urllib.request import urlopen

    deadline = time.monotonic() + 60
    file = profile / "DevToolsActivePort"
    while time.monotonic() < deadline:
        assert process.poll() is None, "Chromium ended at once"
        if file.is_file() and len(lines := file.read_text().splitlines()) >= 2:
            with urlopen(f"http://127.0.0.1:{lines[0]}/json/list", timeout=30) as answer:
                for tab in json.load(answer):
                    if tab["type"] == "page":
                        return str(tab["webSocketDebuggerUrl"])
        time.sleep(0.05)
    raise AssertionError("Chromium did not start within a minute")
