"""The steps of the Dockerfile, run as a script, and the server that they end in."""

from __future__ import annotations

import fnmatch
import gzip
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
STEPS = [
    (found[1], found[2])
    for line in (ROOT / "Dockerfile").read_text("utf-8").replace("\\\n", " ").splitlines()
    if (found := re.match(r"([A-Z]+) (.*)", line))
]


def steps(kind):
    """Return what stands after each instruction of a kind, in order."""
    return [words for name, words in STEPS if name == kind]


def command(words):
    """Return a command of the Dockerfile with this interpreter in place of its own."""
    return [sys.executable, *json.loads(words)[1:]]


def is_left_out(name):
    """Return whether .dockerignore keeps a file out of the image."""
    left_out = False
    for line in (ROOT / ".dockerignore").read_text("utf-8").split():
        pattern, keeps = line.removeprefix("!"), line.startswith("!")
        parts = [name, *map(str, list(Path(name).parents)[:-1])]
        if any(fnmatch.fnmatchcase(part, pattern) for part in parts):
            left_out = not keeps
    return left_out


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    """Make the folder that the Dockerfile copies: what git keeps, less what is left out."""
    folder = tmp_path_factory.mktemp("image")
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\0")
    for name in filter(None, listed):
        if not is_left_out(name) and (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    return folder


@pytest.fixture(scope="module")
def server(image, tmp_path_factory):
    """Start what the image starts, on a free port; give its address and where it logs."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (words,) = [words for words in steps("CMD") if "streamlit" in words]
    log = tmp_path_factory.mktemp("log") / "log"
    with log.open("w") as written:
        process = subprocess.Popen(
            [word.replace("7860", str(port)) for word in command(words)],
            cwd=image,
            stdout=written,
            stderr=subprocess.STDOUT,
            env=_environment(),
        )
    try:
        deadline = time.monotonic() + 60
        while log.read_text("utf-8").count(str(port)) == 0 or _health(port) != b"ok":
            assert process.poll() is None, log.read_text("utf-8")
            assert time.monotonic() < deadline, log.read_text("utf-8")
            time.sleep(0.1)
        yield port, log
    finally:
        process.terminate()
        process.wait(timeout=20)


def _environment():
    """Return the environment of the image beside what an interpreter needs."""
    own = dict(pair.split("=", 1) for words in steps("ENV") for pair in words.split())
    return {**os.environ, **own, "PYTHONDONTWRITEBYTECODE": "1"}


def _health(port):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=5) as answer:
            return answer.read()
    except OSError:
        return b""


def _answer(port, path, method="GET", body=None, **headers):
    """Return status and headers of a request."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}{path}",
        data=body,
        method=method,
        headers={name.replace("_", "-"): value for name, value in headers.items()},
    )
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, answer.headers
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers


def test_the_image_holds_what_the_app_reads_and_no_more(image):
    """Code, tables and settings are in it; tests, tools and what is hidden are not."""
    for name in ("app.py", "docs/icon.png", "data/shipped.npz", ".streamlit/config.toml"):
        assert (image / name).is_file(), name
    for name in ("tests", "tools", "benchmarks", ".git", ".ci", ".venv"):
        assert not (image / name).exists(), name


def test_every_file_that_the_dockerfile_copies_is_there():
    """A COPY of a file that is gone would end the build."""
    sources = [
        source
        for words in steps("COPY")
        for source in [word for word in words.split() if not word.startswith("--")][:-1]
    ]
    assert sources
    for source in sources:
        assert (ROOT / source).exists(), source
        assert source == "." or not is_left_out(source), source


def test_the_image_runs_as_a_user_without_rights_on_the_port_of_spaces():
    """Uid 1000 and port 7860 are what Hugging Face Spaces expect."""
    (user,) = steps("USER")
    made = next(words for words in steps("RUN") if words.startswith("useradd"))
    assert "--uid 1000" in made
    assert made.endswith(user)
    assert steps("EXPOSE") == ["7860"]
    kinds = [name for name, _ in STEPS]
    assert kinds.index("USER") < kinds.index("EXPOSE")
    assert "app_port: 7860" in (ROOT / "docs/deployment.md").read_text("utf-8")


def test_only_hashed_packages_come_into_the_image():
    """The one step that installs names the list, and that nothing goes without a hash."""
    (step,) = [words for words in steps("RUN") if "pip install" in words]
    assert step.endswith("--require-hashes -r requirements.txt")


def test_the_steps_after_the_copy_run(image):
    """What the build runs on the copied files comes to its end."""
    at = STEPS.index(("USER", "frontier"))
    after = [words for name, words in STEPS[at:] if name == "RUN"]
    assert len(after) == 3
    for words in after:
        ran = subprocess.run(
            ["bash", "-c", words.replace("python", sys.executable)],
            cwd=image,
            # What it compiles, and that it is enough, is held by tests/app/test_compiling.py.
            env=_environment() | {"NUMBA_DISABLE_JIT": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr


def test_the_server_of_the_image_is_healthy(server):
    """The image's own check says so, and the log holds no warning and nobody else's address."""
    port, log = server
    (check,) = [words.partition("CMD ")[2] for words in steps("HEALTHCHECK")]
    words = [word.replace("7860", str(port)) for word in command(check)]
    assert subprocess.run(words, check=False).returncode == 0
    assert "External URL" not in log.read_text("utf-8")
    assert "Network URL" not in log.read_text("utf-8")


def test_an_upload_without_the_token_of_its_page_is_refused(server):
    """Cross-site requests do not reach the store of uploads."""
    port, _ = server
    path = "/_stcore/upload_file/some-session/some-file"
    assert _answer(port, path, "PUT", b"x")[0] == 403


@pytest.mark.parametrize(
    ("origin", "status"), [("http://elsewhere.example", 403), ("http://127.0.0.1:{port}", 101)]
)
def test_a_session_is_opened_by_a_page_of_its_own_alone(server, origin, status):
    """A websocket from a page elsewhere is refused before it is one."""
    _opens(server[0], origin, status)


def _opens(port, origin, status):
    """Ask for a session from a page somewhere; the answer has that status."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as wire:
        wire.sendall(
            (
                "GET /_stcore/stream HTTP/1.1\r\n"
                f"Host: 127.0.0.1:{port}\r\n"
                f"Origin: {origin.format(port=port)}\r\n"
                "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
            ).encode()
        )
        assert wire.recv(64).split()[1] == str(status).encode()


def test_what_is_in_front_passes_on_what_the_app_needs():
    """The proxy's upload limit, port, health and host are those of the app."""
    front = (ROOT / "deploy/nginx.conf").read_text("utf-8")
    compose = (ROOT / "deploy/compose.yaml").read_text("utf-8")
    largest = re.search(r"client_max_body_size (\d+)m;", front)
    settings = (ROOT / ".streamlit/config.toml").read_text("utf-8")
    assert int(largest[1]) > int(re.search(r"maxUploadSize = (\d+)", settings)[1])
    assert set(re.findall(r"proxy_pass http://app:(\d+);", front)) == {"7860"}
    assert "listen 8080;" in front
    assert '"8080:8080"' in compose
    assert front.count("proxy_set_header Host $http_host;") == 2
    assert "gzip on;" in front
    assert "service_healthy" in compose


needs_nginx = pytest.mark.skipif(shutil.which("nginx") is None, reason="no nginx on this machine")


def _front(folder, port, listen=8080):
    """Write the configuration in front for an app on a port here; return where it lies."""
    text = (ROOT / "deploy/nginx.conf").read_text("utf-8")
    text = text.replace("//app:7860", f"//127.0.0.1:{port}").replace(" /tmp/", f" {folder}/")
    path = folder / "nginx.conf"
    path.write_text(text.replace("listen 8080;", f"listen {listen};"))
    return path


@needs_nginx
def test_the_configuration_in_front_is_one_that_nginx_takes(tmp_path):
    """`nginx -t` reads it without a complaint."""
    ran = subprocess.run(
        ["nginx", "-t", "-q", "-c", str(_front(tmp_path, 7860))],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr


@pytest.fixture(scope="module")
def front(server, tmp_path_factory):
    """Start nginx in front of the server as deploy/ has it; give its port."""
    folder = tmp_path_factory.mktemp("front")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        listen = probe.getsockname()[1]
    path = _front(folder, server[0], listen)
    # Its workers write where the test does.
    user = " user root;" if os.geteuid() == 0 else ""
    process = subprocess.Popen(["nginx", "-c", str(path), "-g", f"daemon off;{user}"])
    try:
        deadline = time.monotonic() + 20
        while _health(listen) != b"ok":
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield listen
    finally:
        process.terminate()
        process.wait(timeout=20)


@needs_nginx
def test_what_is_in_front_compresses_scripts(server, front):
    """A script comes through smaller, whole, and from the app once."""
    page = urllib.request.urlopen(f"http://127.0.0.1:{front}/", timeout=20).read().decode()
    (script,) = re.findall(r'<script type="module"[^>]* src="\./(static/[^"]+)"', page)[:1]
    plain = urllib.request.urlopen(f"http://127.0.0.1:{server[0]}/{script}", timeout=20).read()
    for _ in range(2):
        asked = urllib.request.Request(
            f"http://127.0.0.1:{front}/{script}", headers={"Accept-Encoding": "gzip"}
        )
        with urllib.request.urlopen(asked, timeout=20) as answer:
            assert answer.headers["Content-Encoding"] == "gzip"
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            sent = answer.read()
        assert gzip.decompress(sent) == plain
        assert len(sent) < 0.6 * len(plain)


@needs_nginx
@pytest.mark.parametrize(
    ("origin", "status"), [("http://elsewhere.example", 403), ("http://127.0.0.1:{port}", 101)]
)
def test_a_session_is_opened_through_what_is_in_front(front, origin, status):
    """The app sees the page's own host through it: its pages open a session, others none."""
    _opens(front, origin, status)


@needs_nginx
def test_an_upload_without_its_token_is_refused_through_what_is_in_front(front):
    """And one that is too large never reaches the app."""
    path = "/_stcore/upload_file/some-session/some-file"
    assert _answer(front, path, "PUT", b"x")[0] == 403
    assert _answer(front, path, "PUT", b"x" * (52 * 2**20))[0] == 413
