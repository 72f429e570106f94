"""A client of vfio-host with nothing but the standard library.

    from vfio_host import VfioHost
    with VfioHost("http://127.0.0.1:8080", rig="my-test") as rig:
        rig.open_container(container="c0")

Every operation of the HTTP API is a method (`_operations.py`, generated); here is what makes tests
short: errors with an errno, drivers called back in this process, a service of one's own.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Callable, Dict, Iterator, Mapping, Optional, Sequence

from ._operations import UNSET, Address, Operations

__all__ = ["UNSET", "Address", "VfioHost", "VfioHostError", "WebhookDriver", "start"]

_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_EXACT = 2**53


class VfioHostError(Exception):
    """A request was answered with a problem: by the emulated kernel (`errno`), or before it."""

    def __init__(self, status: int, problem: Dict[str, Any]) -> None:
        super().__init__(problem.get("detail", f"HTTP {status}"))
        self.status = status
        self.problem = problem
        self.errno: Optional[str] = problem.get("errno")
        self.killed: bool = problem.get("killed") is True

    @property
    def wedged(self) -> bool:
        """Whether the call needs a lock that a dead or deadlocked task holds for ever."""
        return str(self.problem.get("type", "")).endswith("container-wedged")


class VfioHost(Operations):
    """One rig of a vfio-host. As a context manager it drops its rig at the end."""

    def __init__(
        self,
        url: str = "http://127.0.0.1:8080",
        rig: Optional[str] = None,
        token: Optional[str] = None,
        timeout: float = 30,
    ) -> None:
        parsed = urllib.parse.urlsplit(url)
        if parsed.scheme not in ("http", "https") or not parsed.hostname:
            raise ValueError(f"{url!r} is no http or https URL")
        self.url = url.rstrip("/")
        self.rig = rig
        self.timeout = timeout
        self._headers = {"Accept": "application/json"}
        if rig is not None:
            self._headers["X-Rig"] = rig
        if token is not None:
            self._headers["Authorization"] = f"Bearer {token}"
        proxies = {} if parsed.hostname in _LOOPBACK else None
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler(proxies))

    def __enter__(self) -> "VfioHost":
        return self

    def __exit__(self, *_failure: Any) -> None:
        if self.rig is not None:
            with contextlib.suppress(VfioHostError):
                self.delete_rigs_rig(self.rig)

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Optional[Mapping[str, Any]] = None,
        body: Any = None,
        lines: Optional[Any] = None,
        headers: Optional[Mapping[str, str]] = None,
    ) -> Any:
        """Makes any request; the JSON or the text of its answer. Raises VfioHostError for a problem."""
        sent = {**self._headers, **(headers or {})}
        data = None
        if lines is not None:
            sent["Content-Type"] = "application/x-ndjson"
            data = "".join(json.dumps(_exact(line)) + "\n" for line in lines).encode()
        elif body is not None:
            sent["Content-Type"] = "application/json"
            data = json.dumps(_exact(body)).encode()
        search = f"?{urllib.parse.urlencode(query)}" if query else ""
        wanted = urllib.request.Request(self.url + path + search, data, sent, method=method)
        try:
            with self._opener.open(wanted, timeout=self.timeout) as answer:
                return _read(answer)
        except urllib.error.HTTPError as error:
            with error:
                problem = _read(error)
            if not isinstance(problem, dict):
                problem = {"title": "Not an answer of the host", "detail": str(problem)[:200]}
            raise VfioHostError(error.code, problem) from None

    def every(self, what: str, container: Optional[str] = None) -> Iterator[Dict[str, Any]]:
        """All "processes", "containers" or "devices"; of a container its "mappings" or "pins"."""
        prefix = "" if container is None else f"/containers/{urllib.parse.quote(container, safe='')}"
        query: Dict[str, Any] = {"limit": 1000}
        while True:
            page = self.request("GET", f"/v1{prefix}/{what}", query=query)
            yield from page[what]
            if "next" not in page:
                return
            query["after"] = page["next"]

    def wait_for(self, timeout: float = 10, **wanted: Any) -> Dict[str, Any]:
        """The first journal entry that matches, as soon as there is one: wait_for(kind="splat")."""
        end = time.monotonic() + timeout
        while True:
            left = end - time.monotonic()
            if left <= 0:
                raise TimeoutError(f"no {wanted} within {timeout} s")
            ms = str(min(int(left * 1000) + 1, 20_000))
            page = self.request(
                "GET", "/v1/events", query={**wanted, "limit": 1, "wait": 1, "timeoutMs": ms}
            )
            if page["events"]:
                return page["events"][0]
            wanted["since"] = page["next"]

    def in_the_background(self, call: Callable[..., Any], *args: Any, **named: Any) -> "Pending":
        """Starts a call that may have to wait (`respond_async`); `.wait()` is its answer."""
        return Pending(self, call(*args, **named, respond_async=True))


class Pending:
    """A call that was started and not waited for."""

    def __init__(self, rig: VfioHost, answer: Dict[str, Any]) -> None:
        self._rig = rig
        self.operation: Optional[str] = answer.get("operation")
        self.invalidations: Sequence[Dict[str, Any]] = answer.get("invalidations", [])
        self._answer = answer

    def wait(self, timeout: float = 10) -> Dict[str, Any]:
        """The call's answer. Raises VfioHostError where it was refused."""
        if self.operation is None:
            return self._answer
        end = time.monotonic() + timeout
        while True:
            left = int((end - time.monotonic()) * 1000)
            if left <= 0:
                raise TimeoutError(f"{self.operation} is not done within {timeout} s")
            query = {"wait": 1, "timeoutMs": str(min(left, 20_000))}
            found = self._rig.request("GET", f"/v1/operations/{self.operation}", query=query)
            if not found["done"]:
                continue
            answer = found["answer"]
            if answer["status"] >= 400:
                raise VfioHostError(answer["status"], answer["body"])
            return answer["body"]


class WebhookDriver:
    """A driver in this process: `answer` is called with each callback and returns what it answers."""

    def __init__(self, answer: Callable[[Dict[str, Any]], Optional[Mapping[str, Any]]]) -> None:
        self.callbacks: list = []
        driver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                callback = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                driver.callbacks.append(callback)
                data = json.dumps(_exact(answer(callback) or {})).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/"

    def __enter__(self) -> "WebhookDriver":
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_failure: Any) -> None:
        self._server.shutdown()
        self._server.server_close()


@contextlib.contextmanager
def start(
    command: Optional[Sequence[str]] = None, *arguments: str, timeout: float = 30
) -> Iterator[str]:
    """Runs a vfio-host of its own on a free port; the URL of it. `command` defaults to vfio-host."""
    program = list(command or [shutil.which("vfio-host") or "vfio-host"])
    with tempfile.TemporaryDirectory() as folder:
        port_file = os.path.join(folder, "port")
        options = ["--host", "127.0.0.1", "--port", "0", "--port-file", port_file, *arguments]
        # In a group of its own: npx, say, does not hand a signal on to what it has started.
        running = subprocess.Popen(
            [*program, *options], stdout=subprocess.DEVNULL, start_new_session=True
        )
        try:
            yield f"http://127.0.0.1:{_port(running, port_file, timeout)}"
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(running.pid, signal.SIGTERM)
            running.wait(timeout)


def _port(running: "subprocess.Popen[bytes]", path: str, timeout: float) -> int:
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        if running.poll() is not None:
            raise RuntimeError(f"vfio-host ended with {running.returncode} before it listened")
        with contextlib.suppress(FileNotFoundError, ValueError):
            with open(path, encoding="utf-8") as file:
                return int(file.read())
        time.sleep(0.02)
    raise TimeoutError(f"vfio-host does not listen after {timeout} s")


def _exact(value: Any) -> Any:
    """A value for JSON: an integer that a double does not hold is written 0x…."""
    if isinstance(value, bool):
        return value
    if isinstance(value, int) and value >= _EXACT:
        return hex(value)
    if isinstance(value, Mapping):
        return {name: _exact(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_exact(inner) for inner in value]
    return value


def _read(answer: Any) -> Any:
    text = answer.read().decode()
    kind = answer.headers.get("Content-Type", "")
    if "ndjson" in kind:
        return [json.loads(line) for line in text.splitlines() if line.strip()]
    if "json" in kind:
        return json.loads(text)
    return text if text else {}
