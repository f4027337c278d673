"""Headless Chromium, driven over pipes in its DevTools protocol (POSIX only).

tests/test_site.py loads this file when it needs a browser, so that the tests are
collected on every system.
"""

import base64
import contextlib
import fcntl
import json
import os
import select
import subprocess
import time
from pathlib import Path


class Browser:
    """Headless Chromium, driven over a pair of pipes in its DevTools protocol."""

    FLAGS = (
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--disable-dev-shm-usage",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--remote-debugging-pipe",
    )

    def __init__(self, program, profile):
        # Chromium reads from descriptor 3 and writes to 4: ours need other numbers.
        theirs_in, self._to = self._pipe()
        self._from, theirs_out = self._pipe()

        def move_descriptors():
            os.dup2(theirs_in, 3)
            os.dup2(theirs_out, 4)

        self._process = subprocess.Popen(
            [program, *self.FLAGS, f"--user-data-dir={profile}", "about:blank"],
            preexec_fn=move_descriptors,
            pass_fds=(3, 4),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(theirs_in)
        os.close(theirs_out)
        self._buffer, self._number, self._session = b"", 0, None
        self.complaints: list[str] = []
        self._loaded = False
        created = self.call("Target.createTarget", url="about:blank")
        attached = self.call(
            "Target.attachToTarget", targetId=created["targetId"], flatten=True
        )
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    @staticmethod
    def _pipe():
        ends = []
        for end in os.pipe():
            ends.append(fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 20))
            os.close(end)
        return ends

    def _message(self, deadline):
        while b"\0" not in self._buffer:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self._from], [], [], left)[0]:
                raise TimeoutError("Chromium did not answer")
            part = os.read(self._from, 1 << 20)
            if not part:
                raise EOFError("Chromium has ended")
            self._buffer += part
        message, self._buffer = self._buffer.split(b"\0", 1)
        return json.loads(message)

    def _record(self, event):
        method, params = event.get("method"), event.get("params", {})
        if method == "Page.loadEventFired":
            self._loaded = True
        elif method == "Runtime.exceptionThrown":
            self.complaints.append(json.dumps(params["exceptionDetails"])[:500])
        elif method == "Runtime.consoleAPICalled" and params["type"] == "error":
            self.complaints.append(json.dumps(params["args"])[:500])
        elif method == "Log.entryAdded" and params["entry"]["level"] == "error":
            entry = params["entry"]
            self.complaints.append(f"{entry['text']} {entry.get('url', '')}")

    def call(self, method, **params):
        """Send a command and return its answer; record the events before it."""
        self._number += 1
        command = {"id": self._number, "method": method, "params": params}
        if self._session:
            command["sessionId"] = self._session
        os.write(self._to, json.dumps(command).encode() + b"\0")
        deadline = time.monotonic() + 60
        while True:
            answer = self._message(deadline)
            if answer.get("id") != self._number:
                self._record(answer)
                continue
            if "error" in answer:
                raise RuntimeError(f"{method}: {answer['error']}")
            return answer["result"]

    def open(self, url, size, seconds=30.0):
        """Open a page and wait until it is loaded and its formulas are drawn."""
        self.complaints.clear()
        self._loaded = False
        width, height = size
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        self.call("Page.navigate", url=url)
        deadline = time.monotonic() + seconds
        while not self._loaded:
            self._record(self._message(deadline))
        self.value(
            "(async () => {if (window.MathJax && MathJax.startup)"
            " await MathJax.startup.promise; return 1})()"
        )

    def value(self, expression):
        """Return the value of a JavaScript expression."""
        result = self.call(
            "Runtime.evaluate",
            expression=expression,
            awaitPromise=True,
            returnByValue=True,
        )
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def wait_for(self, expression, seconds=20.0):
        """Return the first true value of an expression, or None after ``seconds``."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if value := self.value(expression):
                return value
            time.sleep(0.1)
        return None

    def screenshot(self, file, whole=False):
        """Write the visible part of the page, or all of it, to a PNG file."""
        options = {}
        if whole:
            size = self.call("Page.getLayoutMetrics")["cssContentSize"]
            clip = {"width": size["width"], "height": min(size["height"], 8000)}
            options = {
                "captureBeyondViewport": True,
                "clip": {"x": 0, "y": 0, "scale": 1, **clip},
            }
        data = self.call("Page.captureScreenshot", format="png", **options)["data"]
        Path(file).write_bytes(base64.b64decode(data))

    def close(self):
        """End the browser."""
        with contextlib.suppress(OSError, EOFError, TimeoutError, RuntimeError):
            self._session = None
            self.call("Browser.close")
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._to)
        os.close(self._from)
