"""What the tests of panels use: a display, the Qt panel and the web panel as processes, a browser."""

from __future__ import annotations

import json
import os
import select
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).resolve().parent / "operator"
DOCS = HERE.parent.parent / "docs" / "images" / "operator"
WAIT = 60.0  # s, for a process to start


def needed(program: str, package: str) -> str:
    """The path of a program of the system. A machine without it fails the test: nothing is skipped."""
    found = shutil.which(program)
    if found is None:
        pytest.fail(f"{program} is needed for this test: `sudo apt install {package}`")
    return found


@contextmanager
def display() -> Iterator[str]:
    """A virtual screen; its name for DISPLAY."""
    read, write = os.pipe()
    server = subprocess.Popen([needed("Xvfb", "xvfb"), "-displayfd", str(write), "-screen", "0", "1600x1000x24", "-nolisten",
                               "tcp"], pass_fds=[write], stderr=subprocess.DEVNULL)
    os.close(write)
    try:
        ready, _, _ = select.select([read], [], [], WAIT)
        assert ready, "Xvfb did not start"
        yield f":{os.read(read, 16).decode().strip()}"
    finally:
        os.close(read)
        server.terminate()
        server.wait()


class QtPanel:
    """The Qt panel; see drive_panel.py for its commands."""

    def __init__(self, screen: str, domain: str) -> None:
        environment = {**os.environ, "DISPLAY": screen, "QT_QPA_PLATFORM": "xcb", "ROS_DOMAIN_ID": domain,
                       "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}
        self._process = subprocess.Popen([sys.executable, str(HERE / "drive_panel.py")], stdin=subprocess.PIPE,
                                         stdout=subprocess.PIPE, text=True, env=environment)
        assert self._answer() == "ready"

    def _answer(self) -> Any:
        ready, _, _ = select.select([self._process.stdout], [], [], WAIT)
        assert ready, "the panel does not answer"
        line = self._process.stdout.readline()
        assert line, f"the panel has ended with {self._process.wait()}"
        return json.loads(line)

    def say(self, *words: str) -> Any:
        self._process.stdin.write(" ".join(words) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def state(self) -> dict[str, Any]:
        return self.say("state")

    def close(self) -> None:
        self._process.stdin.write("quit\n")
        self._process.stdin.flush()
        assert self._process.wait(20) == 0

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()


@contextmanager
def qt_panel(screen: str, domain: str) -> Iterator[QtPanel]:
    panel = QtPanel(screen, domain)
    try:
        yield panel
        panel.close()
    finally:
        panel.kill()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class WebPanel:
    """`deft panel --web` and plain requests to it."""

    def __init__(self, domain: str, *options: str) -> None:
        self.port = free_port()
        environment = {**os.environ, "ROS_DOMAIN_ID": domain, "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}
        self.process = subprocess.Popen(["deft", "panel", "--web", "--port", str(self.port), *options], env=environment,
                                        stdout=subprocess.PIPE, text=True)
        self.address = self.process.stdout.readline().strip()
        deadline = time.monotonic() + WAIT
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                break
            except OSError:
                assert self.process.poll() is None and time.monotonic() < deadline, "the web panel did not start"
                time.sleep(0.1)

    def request(self, path: str, body: Any = None, **headers: str) -> tuple[int, bytes]:
        """Status and body of a request; with a body a POST of JSON."""
        data = None if body is None else json.dumps(body).encode()
        headers = {**({"Content-Type": "application/json"} if data is not None else {}), **headers}
        try:
            with urllib.request.urlopen(urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data, headers),
                                        timeout=30) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def view(self) -> dict[str, Any]:
        return json.loads(self.request("/api/view")[1])

    def kill(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@contextmanager
def web_panel(domain: str, *options: str) -> Iterator[WebPanel]:
    panel = WebPanel(domain, *options)
    try:
        yield panel
    finally:
        panel.kill()


@contextmanager
def browser() -> Iterator[Any]:
    """A page of headless Chromium; `page.asked` lists the addresses that it asked for."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=needed("chromium", "chromium"),
                                              args=["--no-sandbox", "--disable-gpu"])
        page = chromium.new_page(viewport={"width": 1280, "height": 900})
        page.asked = []
        page.on("request", lambda request: page.asked.append(request.url))
        try:
            yield page
        finally:
            chromium.close()


def for_docs(name: str, folder: Path) -> Path:
    """Where a picture goes: into the documentation with DEFT_DOCS_PICTURES=1, else into a test's folder."""
    if os.environ.get("DEFT_DOCS_PICTURES") == "1":
        DOCS.mkdir(parents=True, exist_ok=True)
        return DOCS / name
    return folder / name
