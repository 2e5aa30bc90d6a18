"""Lets Label Studio itself write and read: `label_studio_server.py OURS VIDEOS OUT`.

The server runs on 127.0.0.1 with a database of its own that is thrown away. Its editor is opened in
Chromium: the story is drawn into the timeline with the mouse and submitted, then exported by the
server; our export is imported by the server and what the editor makes of it is read.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, sync_playwright
from story import NUM_FRAMES, RATE_HZ, STORY, VIDEO, write_read

ADDRESS = "annotator@example.com"
CHROMIUM = "/usr/bin/chromium"
START_S = 600  # the first start makes the database: 40 s of one core, more on a busy machine
WAIT_S = 120
COLUMN_PIXELS = 16  # a frame in the timeline
CONFIG = f"""<View>
  <TimelineLabels name="steps" toName="video">
    <Label value="place base"/><Label value="insert gear"/>
  </TimelineLabels>
  <Video name="video" value="$video" frameRate="{RATE_HZ}"/>
</View>"""
REGIONS = "() => Htx.annotationStore.selected.serializeAnnotation().map(region => region.value)"
VIDEO_FACTS = """() => {
  const video = Htx.annotationStore.selected.names.get("video");
  return [Number(video.framerate), video.length, document.querySelector("video").currentTime];
}"""


@dataclass(frozen=True)
class Server:
    """A running Label Studio and the words that open it."""

    url: str
    token: str
    password: str

    def call(self, path: str, body: bytes | None = None, kind: str = "application/json") -> Any:
        headers = {"Authorization": f"Token {self.token}", "Content-Type": kind}
        request = urllib.request.Request(self.url + path, data=body, headers=headers)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    def post(self, path: str, body: object) -> Any:
        return self.call(path, json.dumps(body).encode())

    def export(self, project: int) -> bytes:
        headers = {"Authorization": f"Token {self.token}"}
        path = f"{self.url}/api/projects/{project}/export?exportType=JSON"
        with urllib.request.urlopen(urllib.request.Request(path, headers=headers)) as answer:
            return bytes(answer.read())


@contextmanager
def running(folder: Path, files: Path) -> Iterator[Server]:
    """Start the server with its data in `folder`; it may serve what is in `files`."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    token, password = secrets.token_hex(20), secrets.token_hex(8)
    more = {
        "COLLECT_ANALYTICS": "false",
        "LATEST_VERSION_CHECK": "false",
        "SENTRY_DSN": "",
        "FRONTEND_SENTRY_DSN": "",
        "LOCAL_FILES_SERVING_ENABLED": "true",
        "LOCAL_FILES_DOCUMENT_ROOT": str(files),
    }
    command = [
        *(str(Path(sys.executable).with_name("label-studio")), "start", "--no-browser"),
        *("--data-dir", str(folder), "--internal-host", "127.0.0.1", "--port", str(port)),
        *("--username", ADDRESS, "--password", password, "--user-token", token),
        *("--enable-legacy-api-token", "--log-level", "ERROR"),
    ]
    server = Server(f"http://127.0.0.1:{port}", token, password)
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, **more})
        try:
            if not answers(server.url + "/health", process):
                raise SystemExit(f"no server:\n{Path(log.name).read_text()[-3000:]}")
            yield server
        finally:
            process.terminate()
            process.wait(WAIT_S)


def answers(url: str, process: subprocess.Popen[bytes]) -> bool:
    deadline = time.monotonic() + START_S
    while process.poll() is None and time.monotonic() < deadline:
        try:
            urllib.request.urlopen(url, timeout=5).close()
        except OSError:
            time.sleep(1)
        else:
            return True
    return False


def log_in(page: Page, server: Server) -> None:
    page.goto(server.url + "/user/login/")
    page.fill("input[name=email]", ADDRESS)
    page.fill("input[name=password]", server.password)
    page.click("button[type=submit]")
    page.wait_for_url(lambda url: "/user/login" not in url)


def open_editor(page: Page, server: Server, project: int) -> None:
    (task,) = server.call(f"/api/tasks?project={project}")["tasks"]
    page.goto(f"{server.url}/projects/{project}/data?task={task['id']}")
    page.wait_for_selector(".lsf-timeline-frames__background")
    page.wait_for_function(
        f"() => Htx.annotationStore.selected?.names.get('video').length === {NUM_FRAMES}"
    )
    page.wait_for_timeout(1000)


def write(server: Server, page: Page, video: Path) -> bytes:
    """Draw the story into the editor's timeline, submit it and return the server's export."""
    project = server.post("/api/projects", {"title": "bench", "label_config": CONFIG})["id"]
    body = (
        b'--x\r\nContent-Disposition: form-data; name="file"; filename="%b"\r\n'
        b"Content-Type: video/mp4\r\n\r\n%b\r\n--x--\r\n" % (VIDEO.encode(), video.read_bytes())
    )
    server.call(f"/api/projects/{project}/import", body, "multipart/form-data; boundary=x")
    open_editor(page, server, project)
    for number, (label, start, end) in enumerate(STORY, start=1):
        page.locator(".lsf-label", has_text=label).first.click()
        draw(page, start + 1, end)
        page.wait_for_function(f"() => ({REGIONS})().length === {number}")
        page.keyboard.press("Escape")
        page.wait_for_timeout(500)
    page.get_by_role("button", name="Submit").click()
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        exported = server.export(project)
        if b'"total_annotations":1' in exported:  # counted a moment after it is stored
            return exported
        time.sleep(1)
    raise SystemExit("Label Studio exported no annotation")


def draw(page: Page, first: int, last: int) -> None:
    """Drag from the column of frame `first` to that of `last`, both counted from 1."""
    box = page.locator(".lsf-timeline-frames__background").bounding_box()
    new = page.locator(".lsf-keypoints[data-id=new]").bounding_box()  # the row of a chosen label
    assert box is not None
    assert new is not None
    left, right = (box["x"] + COLUMN_PIXELS * (frame - 0.5) for frame in (first, last))
    y = new["y"] + new["height"] / 2
    page.mouse.move(left, y)
    page.mouse.down()
    page.mouse.move((left + right) / 2, y, steps=5)
    page.mouse.move(right, y, steps=5)
    page.mouse.up()


def read(server: Server, page: Page, ours: Path, files: Path) -> list[tuple[str, float, float]]:
    """Import our tasks and return what the editor and the server's export both make of them."""
    config = (ours / "label_config.xml").read_text()
    project = server.post("/api/projects", {"title": "ours", "label_config": config})["id"]
    storage = {"project": project, "path": str(files / "videos"), "use_blob_urls": True}
    server.post("/api/storages/localfiles", storage)
    server.call(f"/api/projects/{project}/import", (ours / "tasks.json").read_bytes())
    open_editor(page, server, project)
    rate_hz, length, at_s = page.evaluate(VIDEO_FACTS)
    if (rate_hz, length, at_s) != (RATE_HZ, NUM_FRAMES, 0):  # frame 1 is the one at 0 s
        raise SystemExit(f"the editor plays {length} frames at {rate_hz} Hz from {at_s} s")
    shown = [segment(value) for value in page.evaluate(REGIONS)]
    (task,) = json.loads(server.export(project))
    exported = [segment(region["value"]) for region in task["annotations"][0]["result"]]
    if sorted(shown) != sorted(exported):
        raise SystemExit(f"the editor shows {shown}, the server exports {exported}")
    return shown


def segment(value: dict[str, Any]) -> tuple[str, float, float]:
    (span,), (label,) = value["ranges"], value["timelinelabels"]
    return label, span["start"] - 1, span["end"]


def main() -> None:
    ours, videos, out = map(Path, sys.argv[1:])
    with tempfile.TemporaryDirectory() as folder:
        files = Path(folder) / "files"
        (files / "videos").mkdir(parents=True)
        (files / "videos" / VIDEO).write_bytes((videos / VIDEO).read_bytes())
        (Path(folder) / "data").mkdir()
        with running(Path(folder) / "data", files) as server, sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"]
            )
            # wide enough for the columns of all frames
            page = browser.new_page(viewport={"width": 2800, "height": 1000})
            page.set_default_timeout(WAIT_S * 1000)
            log_in(page, server)
            (out / "label-studio.json").write_bytes(write(server, page, videos / VIDEO))
            found = read(server, page, ours, files)
            browser.close()
    write_read(out, f"Label Studio {version('label-studio')}", found)


if __name__ == "__main__":
    main()
