"""A Hub for the tests: a process of its own that real clients talk to, with faults that can be switched on.

``python -m tests.hub.server FOLDER`` prints its port, then obeys one JSON line after another (see handle.py)
until its input ends. ``127.0.0.1`` is the Hub; what it keeps in its large file storage comes from
``localhost``, which clients rightly take for a stranger. Unlike the real one it never offers Xet.
"""

import gzip
import json
import re
import socket
import sys
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote

from tests.hub.accounts import Accounts
from tests.hub.faults import SEND_BUFFER, Fault, send
from tests.hub.routes import Answer, Hub, RefusalError, Request, as_json
from tests.hub.store import Repo, Store

RANGE = re.compile(r"bytes=(\d*)-(\d*)")


class Server(ThreadingHTTPServer):
    """The listening side. ``log`` has every request, also those that are still being answered."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, port: int, control: "Control") -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.control = control
        self.open: set[socket.socket] = set()
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    def process_request(self, request, client_address) -> None:
        self.open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request) -> None:
        self.open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request, client_address) -> None:
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)

    def stop(self) -> None:
        """No longer there: the port is closed, and every connection with it."""
        self.shutdown()
        self.server_close()
        for connection in list(self.open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def setup(self) -> None:
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.request.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        super().setup()

    def log_message(self, *_) -> None:
        """The log is kept in memory; standard error stays for what should not happen."""

    def respond(self) -> None:
        control = self.server.control
        path, _, query = self.path.partition("?")
        bearer = self.headers.get("Authorization", "")
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        token = bearer.removeprefix("Bearer ") if bearer.startswith("Bearer ") else None
        asked = Request(self.command, path, parse_qs(query), self.headers.get("Host", ""), token, body)
        entry = {
            "method": self.command,
            "path": unquote(path),
            "query": unquote(query),
            "host": asked.host,
            "range": self.headers.get("Range"),
            "authorization": bool(bearer),
            "status": 0,
            "sent": 0,
            "fault": "",
        }
        with control.lock:
            control.log.append(entry)
            fault = control.take(self.command, unquote(path), lambda fault: fault.instead)
            answer = _instead(fault) if fault else self._ask(control.hub, asked)
        entry["fault"] = fault.name() if fault else ""
        self._send(answer, entry)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = respond  # noqa: N815 -- http.server calls them so

    def _ask(self, hub: Hub, asked: Request) -> Answer:
        try:
            return hub.answer(asked)
        except RefusalError as refusal:
            headers = {"X-Error-Message": refusal.message} | refusal.headers
            if refusal.code:
                headers["X-Error-Code"] = refusal.code
            return as_json({"error": refusal.message}, refusal.status, **headers)

    def _send(self, answer: Answer, entry: dict) -> None:
        size = answer.body.stat().st_size if isinstance(answer.body, Path) else len(answer.body)
        wanted = self._range(answer, size)
        start, end = wanted or (0, size)
        control = self.server.control
        with control.lock:
            tagged = bool(answer.etag) or "X-Linked-Etag" in answer.headers
            last = start if answer.status == 302 else end
            fault = control.take(
                self.command,
                entry["path"],
                lambda fault: fault.touches(start, last, wanted is not None, tagged),
            )
        entry["fault"] = fault.name() if fault else entry["fault"]
        fault = fault or Fault("")
        if fault.no_range:
            wanted, start, end = None, 0, size
        headers, body = dict(answer.headers), answer.body
        if fault.gzip and isinstance(body, Path):
            body = gzip.compress(body.read_bytes())
            headers |= {"Content-Encoding": "gzip", "Vary": "Accept-Encoding"}
            wanted, start, end = None, 0, len(body)
        if answer.etag:
            headers |= {"ETag": f'"{fault.etag or answer.etag}"', "Accept-Ranges": "bytes"}
        elif fault.etag and "X-Linked-Etag" in headers:
            headers["X-Linked-Etag"] = f'"{fault.etag}"'
        status = answer.status
        if wanted is not None:
            status = 206 if start < end else 416
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}" if start < end else f"bytes */{size}"
        entry["status"] = status
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value.encode("ascii", "replace").decode())
        claimed = end - start if fault.length is None else fault.length
        self.send_header("Content-Length", str(claimed))
        self.end_headers()
        if self.command == "HEAD":
            return

        def said(count: int) -> None:
            entry["sent"] += count

        if not send(self.connection, body, start, end, fault, said):
            self.close_connection = True

    def _range(self, answer: Answer, size: int) -> tuple[int, int] | None:
        """First and one past the last byte that are asked for; equal where there are none (416)."""
        found = RANGE.fullmatch(self.headers.get("Range") or "")
        if not found or not answer.etag or answer.status != 200 or not any(found.groups()):
            return None
        condition = self.headers.get("If-Range")
        if condition is not None and condition != f'"{answer.etag}"':
            return None
        first, last = found.groups()
        if not first:
            return max(0, size - int(last)), size
        start, end = int(first), min(size, int(last) + 1) if last else size
        return (start, end) if start < end else (size, size)


def _instead(fault: Fault) -> Answer:
    fault.use()
    headers = {} if fault.code is None else {"X-Error-Code": fault.code}
    if fault.redirect is not None:
        return Answer(fault.status or 302, headers | {"Location": fault.redirect})
    if fault.retry_after is not None:
        headers["Retry-After"] = str(fault.retry_after)
        headers["RateLimit"] = f'"api";r=0;t={fault.retry_after}'
        headers["RateLimit-Policy"] = '"fixed window";"api";q=500;w=300'
    return as_json({"error": "A fault that was asked for"}, fault.status or 500, **headers)


class Control:
    """What the one who started the server may do to it."""

    def __init__(self, folder: Path) -> None:
        self.lock = threading.RLock()
        self.store, self.accounts = Store(folder), Accounts()
        self.log: list[dict] = []
        self.faults: list[Fault] = []
        self.server: Server | None = Server(0, self)
        self.port = self.server.server_address[1]
        self.hub = Hub(
            self.store, self.accounts, f"http://127.0.0.1:{self.port}", f"http://localhost:{self.port}"
        )

    def take(self, method: str, path: str, fits) -> Fault | None:
        """The first fault that is meant for this request and fits; it is used up by one."""
        found = next((each for each in self.faults if each.wanted(method, path) and fits(each)), None)
        if found and not found.instead:
            found.use()
        return found

    def add(self, repo: str, files: dict[str, str], keep: bool, modified: float | None, **about) -> str:
        """A repository, or its next commit; ``files`` by path. ``keep``: beside those that it has."""
        held = self.store.repos.setdefault(repo, Repo(repo))
        for name, value in about.items():
            if value is not None:
                setattr(held, name, value)
        blobs = {name: self.store.take(name, Path(path)) for name, path in files.items()}
        before = held.newest.files if keep and held.branches else {}
        return self.store.commit(held, before | blobs, "Upload", date=modified).id

    def ref(self, repo: str, name: str, commit: str, kind: str) -> None:
        held = self.store.repos[repo]
        (held.branches if kind == "branch" else held.marks)[name] = commit

    def remove(self, repo: str) -> None:
        del self.store.repos[repo]

    def lie(self, repo: str, name: str, **about) -> None:
        self.store.repos[repo].lies[name] = about

    def fault(self, **about) -> None:
        self.faults.append(Fault(**about))

    def clear(self) -> list[str]:
        left = [each.name() for each in self.faults if each.times > 0]
        self.faults.clear()
        return left

    def requests(self) -> list[dict]:
        return self.log

    def forget(self) -> None:
        self.log = []

    def down(self) -> None:
        if self.server is not None:
            self.server.stop()
            self.server = None

    def up(self) -> None:
        if self.server is None:
            self.server = Server(self.port, self)

    def page(self, size: int) -> None:
        self.hub.page_size = size

    def crowd(self, count: int, base: str, owner: str) -> None:
        self.store.crowd(count, base, owner)

    def account(self, **about) -> str:
        return self.accounts.add(**about)

    def grant(self, repo: str, user: str) -> None:
        self.store.repos[repo].guests.add(user)

    def device(self, interval: int, expires_in: int, slow_down: int) -> None:
        self.accounts.interval, self.accounts.expires_in = interval, expires_in
        self.accounts.slow_down = slow_down

    def settle(self, user: str | None) -> str:
        return self.accounts.settle(user)

    def revoke(self, token: str) -> None:
        self.accounts.revoke(token)

    def uploads(self, repo: str) -> list[dict]:
        return [each for each in self.hub.uploads if each["repo"] == repo]


def main(folder: Path) -> None:
    control = Control(folder)
    print(json.dumps({"port": control.port}), flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            # A server that is going down waits for its threads, which may wait for the lock.
            if asked["do"] in ("down", "up"):
                said = getattr(control, asked["do"])()
            else:
                with control.lock:
                    said = getattr(control, asked["do"])(**asked["with"])
            print(json.dumps({"said": said}), flush=True)
        except (KeyError, ValueError, TypeError, OSError, AttributeError) as problem:
            print(json.dumps({"problem": f"{type(problem).__name__}: {problem}"}), flush=True)
    control.down()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
