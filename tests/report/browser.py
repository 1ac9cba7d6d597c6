"""Opens a page in headless Chromium as its readers would, and says what they get.

    python3 browser.py PAGE FOLDER

Scripts of the page are switched off and the network is refused. Writes light.png, dark.png,
phone.png, print.png and print.pdf into FOLDER, and prints one JSON object: console messages,
requests, and of each view what inspect.js found. Needs nothing but Python and Debian's package
chromium, which it installs where it may; without it, it fails.
"""

import base64
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--host-resolver-rules=MAP * ~NOTFOUND",
    "--remote-debugging-pipe",
]
# Name, width, height, colour scheme, media.
VIEWS = [
    ("light", 1280, 900, "light", ""),
    ("dark", 1280, 900, "dark", ""),
    ("phone", 360, 740, "light", ""),
    ("print", 794, 1123, "dark", "print"),
]
# A picture of all of a long page is too large to look at.
HIGHEST = 12_000


def chromium():
    """The browser; installed where it is missing and the caller may."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if found := shutil.which(name):
            return found
    if os.geteuid() == 0 and shutil.which("apt-get"):
        quiet = {"stdout": sys.stderr, "check": True}
        subprocess.run(["apt-get", "update", "-qq"], **quiet)
        install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", "chromium"]
        subprocess.run(install, env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"}, **quiet)
        if found := shutil.which("chromium"):
            return found
    sys.exit("the tests need Chromium: install Debian's package `chromium`")


class Gone(Exception):
    """The browser itself ended: that says nothing about the page."""


class Browser:
    """Chromium behind a pipe: one JSON message after the other, each ended by a zero byte."""

    def __init__(self, profile):
        to_browser, self.write_end = os.pipe()
        self.read_end, from_browser = os.pipe()

        def pipes():
            # The browser reads from 3 and writes to 4; neither may be closed before it is copied.
            reads, writes = os.dup(to_browser), os.dup(from_browser)
            os.dup2(reads, 3)
            os.dup2(writes, 4)

        self.process = subprocess.Popen(
            [chromium(), *FLAGS, f"--user-data-dir={profile}"],
            preexec_fn=pipes,
            close_fds=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(to_browser)
        os.close(from_browser)
        self.rest = b""
        self.last = 0
        self.session = None
        self.events = []

    def read(self):
        while b"\0" not in self.rest:
            more = os.read(self.read_end, 1 << 20)
            if not more:
                raise Gone("Chromium ended before its time")
            self.rest += more
        message, self.rest = self.rest.split(b"\0", 1)
        return json.loads(message)

    def call(self, method, **params):
        self.last += 1
        message = {"id": self.last, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        try:
            os.write(self.write_end, json.dumps(message).encode() + b"\0")
        except BrokenPipeError as error:
            raise Gone("Chromium ended before its time") from error
        while True:
            answer = self.read()
            if answer.get("id") == self.last:
                if "error" in answer:
                    sys.exit(f"{method}: {answer['error']}")
                return answer["result"]
            self.events.append(answer)

    def wait_for(self, method):
        while not any(event.get("method") == method for event in self.events):
            self.events.append(self.read())

    def evaluate(self, expression):
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        if "exceptionDetails" in result:
            sys.exit(json.dumps(result["exceptionDetails"])[:2000])
        return result["result"].get("value")

    def close(self):
        os.close(self.write_end)
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def look(browser, page, folder, inspect):
    target = browser.call("Target.createTarget", url="about:blank")["targetId"]
    attached = browser.call("Target.attachToTarget", targetId=target, flatten=True)
    browser.session = attached["sessionId"]
    for domain in ("Page", "Runtime", "Log", "Network"):
        browser.call(f"{domain}.enable")
    browser.call("Emulation.setScriptExecutionDisabled", value=True)
    offline = {"offline": True, "latency": 0, "downloadThroughput": 0, "uploadThroughput": 0}
    browser.call("Network.emulateNetworkConditions", **offline)
    browser.events.clear()
    if error := browser.call("Page.navigate", url=page.resolve().as_uri()).get("errorText"):
        sys.exit(f"{page}: {error}")
    browser.wait_for("Page.loadEventFired")

    views = {}
    for name, width, height, scheme, media in VIEWS:
        features = [
            {"name": "prefers-color-scheme", "value": scheme},
            {"name": "prefers-reduced-motion", "value": "reduce"},
        ]
        browser.call("Emulation.setEmulatedMedia", media=media, features=features)
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": name == "phone"}
        browser.call("Emulation.setDeviceMetricsOverride", **size)
        views[name] = browser.evaluate(inspect)
        tall = min(views[name]["height"], HIGHEST)
        clip = {"x": 0, "y": 0, "width": width, "height": tall, "scale": 1}
        shot = browser.call(
            "Page.captureScreenshot", format="png", captureBeyondViewport=True, clip=clip
        )
        (folder / f"{name}.png").write_bytes(base64.b64decode(shot["data"]))
    pdf = browser.call("Page.printToPDF", preferCSSPageSize=True, printBackground=True)
    (folder / "print.pdf").write_bytes(base64.b64decode(pdf["data"]))
    return views


def told(events):
    """What the console said, and every address that was asked for."""
    console, requests = [], []
    for event in events:
        params = event.get("params", {})
        match event.get("method"):
            case "Log.entryAdded":
                console.append(params["entry"]["text"])
            case "Runtime.consoleAPICalled":
                console.append(json.dumps(params["args"])[:500])
            case "Runtime.exceptionThrown":
                console.append(json.dumps(params["exceptionDetails"])[:500])
            case "Network.requestWillBeSent":
                requests.append(params["request"]["url"])
    return console, requests


def main():
    page, folder = Path(sys.argv[1]), Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    inspect = (Path(__file__).parent / "inspect.js").read_text()
    for attempt in range(3):
        try:
            with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
                browser = Browser(profile)
                try:
                    views = look(browser, page, folder, inspect)
                    console, requests = told(browser.events)
                finally:
                    browser.close()
            break
        except Gone as gone:
            if attempt == 2:
                sys.exit(str(gone))
    json.dump({"console": console, "requests": requests, "views": views}, sys.stdout)


main()
