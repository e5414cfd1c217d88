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

from tests.hub.control import Control
from tests.hub.core import Answer, Hub, RefusalError, Request, as_json
from tests.hub.faults import SEND_BUFFER, Fault, send
from tests.hub.routes import answer

RANGE = re.compile(r"bytes=(\d*)-(\d*)")


class Server(ThreadingHTTPServer):
    """The listening side: bound at once, serving from ``start`` to ``stop``."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128
    control: Control

    def __init__(self, port: int) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.connections: set[socket.socket] = set()

    def start(self, control: Control) -> None:
        self.control = control
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        """No longer there: the port is closed, and every connection with it."""
        self.shutdown()
        self.server_close()
        for connection in list(self.connections):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def process_request(self, request, client_address) -> None:
        self.connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request) -> None:
        self.connections.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request, client_address) -> None:
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class Handler(BaseHTTPRequestHandler):
    """One connection: reads requests, asks the Hub, and sends what it says with a fault in it or without."""

    protocol_version = "HTTP/1.1"
    server: Server

    def setup(self) -> None:
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.request.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        super().setup()

    def log_message(self, *_) -> None:
        """The log is kept in memory; standard error stays for what should not happen."""

    def respond(self) -> None:
        control, asked = self.server.control, self._asked()
        self.entry = {
            "method": asked.method,
            "path": unquote(asked.path),
            "query": unquote(self.path.partition("?")[2]),
            "host": asked.host,
            "range": self.headers.get("Range"),
            "authorization": "Authorization" in self.headers,
            "status": 0,
            "sent": 0,
            "fault": "",
        }
        with control.lock:
            control.log.append(self.entry)
            instead = self._fault(lambda fault: fault.instead)
            said = _instead(instead) if instead else _ask(control.hub, asked)
        self._send(said, whole=instead is not None)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = respond  # noqa: N815 -- http.server calls them so

    def _asked(self) -> Request:
        path, _, query = self.path.partition("?")
        kind, _, token = self.headers.get("Authorization", "").partition(" ")
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        host = self.headers.get("Host", "")
        return Request(
            self.command, path, parse_qs(query), host, token if kind.lower() == "bearer" else None, body
        )

    def _fault(self, fits) -> Fault | None:
        """The first fault that is meant for this request and fits; it is used up by one, and on record."""
        with self.server.control.lock:
            found = self.server.control.take(self.command, self.entry["path"], fits)
        if found:
            self.entry["fault"] = found.name()
        return found

    def _send(self, said: Answer, whole: bool) -> None:
        size = said.body.stat().st_size if isinstance(said.body, Path) else len(said.body)
        span = self._range(said, size)
        start, end = span or (0, size)
        tagged = bool(said.etag) or "X-Linked-Etag" in said.headers
        # The few words that come with a redirection are no body that anybody reads.
        felt = start if said.status == 302 or whole else end
        fault = self._fault(
            lambda fault: fault.touches(start, felt, span is not None, tagged and not whole)
        ) or Fault("")
        headers, body = _tagged(said, fault), said.body
        if fault.no_range or fault.gzip:
            span, start, end = None, 0, size
        if fault.gzip and isinstance(body, Path):
            body = gzip.compress(body.read_bytes())
            headers |= {"Content-Encoding": "gzip", "Vary": "Accept-Encoding"}
            end = len(body)
        self.entry["status"] = said.status
        if span is not None:
            self.entry["status"] = 206 if start < end else 416
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}" if start < end else f"bytes */{size}"
        headers["Content-Length"] = str(end - start if fault.length is None else fault.length)
        self.send_response(self.entry["status"])
        for name, value in headers.items():
            self.send_header(name, value.encode("ascii", "replace").decode())
        self.end_headers()
        if self.command != "HEAD" and not send(self.connection, body, start, end, fault, self._sent):
            self.close_connection = True

    def _sent(self, count: int) -> None:
        self.entry["sent"] += count

    def _range(self, said: Answer, size: int) -> tuple[int, int] | None:
        """First and one past the last byte that are asked for; equal where there are none (416)."""
        found = RANGE.fullmatch(self.headers.get("Range") or "")
        if not found or not said.etag or said.status != 200 or not any(found.groups()):
            return None
        condition = self.headers.get("If-Range")
        if condition is not None and condition != f'"{said.etag}"':
            return None
        first, last = found.groups()
        if not first:
            return max(0, size - int(last)), size
        start, end = int(first), min(size, int(last) + 1) if last else size
        return (start, end) if start < end else (size, size)


def _ask(hub: Hub, asked: Request) -> Answer:
    try:
        return answer(hub, asked)
    except RefusalError as refusal:
        headers = {"X-Error-Message": refusal.message} | refusal.headers
        if refusal.code:
            headers["X-Error-Code"] = refusal.code
        return as_json({"error": refusal.message}, refusal.status, **headers)


def _instead(fault: Fault) -> Answer:
    headers = {} if fault.code is None else {"X-Error-Code": fault.code}
    if fault.redirect is not None:
        return Answer(fault.status or 302, headers | {"Location": fault.redirect})
    if fault.retry_after is not None:
        headers["Retry-After"] = str(fault.retry_after)
        headers["RateLimit"] = f'"api";r=0;t={fault.retry_after}'
        headers["RateLimit-Policy"] = '"fixed window";"api";q=500;w=300'
    return as_json({"error": "A fault that was asked for"}, fault.status or 500, **headers)


def _tagged(said: Answer, fault: Fault) -> dict[str, str]:
    if said.etag:
        return said.headers | {"ETag": f'"{fault.etag or said.etag}"', "Accept-Ranges": "bytes"}
    return said.headers | ({"X-Linked-Etag": f'"{fault.etag}"'} if fault.etag else {})


def main(folder: Path) -> None:
    """Serve, and obey: {"do": NAME, "with": {...}} in, {"said": ...} or {"problem": ...} out."""
    server = Server(0)
    port = server.server_address[1]
    control = Control(folder, port)
    server.start(control)
    print(json.dumps({"port": port}), flush=True)
    for line in sys.stdin:
        asked, said = json.loads(line), None
        try:
            if asked["do"] == "down":
                server.stop()
            elif asked["do"] == "up":
                server = Server(port)
                server.start(control)
            else:
                with control.lock:
                    said = getattr(control, asked["do"])(**asked["with"])
            print(json.dumps({"said": said}), flush=True)
        except (KeyError, ValueError, TypeError, OSError, AttributeError) as problem:
            print(json.dumps({"problem": f"{type(problem).__name__}: {problem}"}), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
