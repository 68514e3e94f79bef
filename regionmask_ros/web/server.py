"""A web server for one user: on 127.0.0.1 only, below an address that nobody else knows.

It is Python's own HTTP server: a handful of routes for one browser need no framework, and each one would be one more
package that must fit an environment over a sourced ROS. What that server leaves open is closed here. Each request needs
the token in its path and this server's own Host, against pages that have another name lead here (DNS rebinding). What
another page sends has its Origin or Sec-Fetch-Site, and is refused. A path is looked up in a table: it never names a
file. All that does not fit is answered by a bare status.
"""

from __future__ import annotations

import contextlib
import errno
import hmac
import json
import os
import secrets
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from importlib import resources
from socketserver import TCPServer, ThreadingMixIn
from typing import Any
from urllib.parse import parse_qsl

from ..errors import UserError

ADDRESS = "127.0.0.1"
TOKEN_BYTES = 32

MAX_CONNECTIONS = 32
"""A browser opens six to one server."""

READ_TIMEOUT_S = 10.0
MAX_TARGET, MAX_QUERY_FIELDS = 1024, 8
SMALL_BODY = 1 << 16

JSON, HTML = "application/json", "text/html; charset=utf-8"
KINDS = {".css": "text/css; charset=utf-8", ".html": HTML, ".js": "text/javascript; charset=utf-8"}

SECURITY_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
                               "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    # The address holds the token.
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


@dataclass(frozen=True)
class Request:
    """What a browser asks for, after all checks.

    Attributes:
        query: The fields after ``?``; the last one counts where a name is repeated.
        body: Of a POST; empty for a GET.
    """

    query: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    def read_json(self) -> dict[str, Any]:
        """The body as a JSON object. Raises UserError if it is none."""
        try:
            found = json.loads(self.body)
        except (ValueError, RecursionError) as error:
            raise UserError("the request is no JSON") from error
        if not isinstance(found, dict):
            raise UserError("the request is no JSON object")
        return found


@dataclass(frozen=True)
class Answer:
    """What a route answers.

    Attributes:
        content: The body.
        kind: Its Content-Type.
        headers: More headers.
        status: The status.
    """

    content: bytes = b""
    kind: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)
    status: int = 200

    @classmethod
    def of_json(cls, value: object, status: int = 200) -> Answer:
        """An answer with that value, which has no NaN."""
        return cls(json.dumps(value, allow_nan=False).encode(), status=status)


@dataclass(frozen=True)
class Route:
    """What is answered at one place.

    Attributes:
        answer: Makes the answer, in a thread of its own. Its UserError is answered as ``{"error": line}``, status 400.
        max_body: Bytes that a POST may have.
        kind: The Content-Type that a POST must have. A page elsewhere cannot send the usual one without asking first.
    """

    answer: Callable[[Request], Answer]
    max_body: int = SMALL_BODY
    kind: str = JSON


Routes = Mapping[tuple[str, str], Route]
"""By method, ``GET`` or ``POST``, and name below the token; the name of the page itself is empty."""


def page_routes(page: str, *files: str) -> dict[tuple[str, str], Route]:
    """Makes the routes of a page from the files in ``web/pages``.

    Args:
        page: Name of the HTML file.
        files: Names of the files that it refers to.

    Returns:
        Routes, for the table of a server.
    """
    folder = resources.files(__package__) / "pages"

    def make(name: str) -> Route:
        answer = Answer((folder / name).read_bytes(), KINDS[os.path.splitext(name)[1]])
        return Route(lambda request: answer)

    return {("GET", ""): make(page), **{("GET", name): make(name) for name in files}}


class WebServer:
    """Context manager: answers requests while it is open, in threads of its own.

    Args:
        routes: What is answered.
        port: 0 for any free one.

    Raises:
        UserError: The port cannot be used.
    """

    def __init__(self, routes: Routes, port: int = 0) -> None:
        self._token = secrets.token_urlsafe(TOKEN_BYTES)
        try:
            self._server = _Server((ADDRESS, port), routes, self._token)
        except OSError as error:
            if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                raise
            raise UserError(f"port {port} on {ADDRESS}: {error.strerror}; choose another one") from error
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.1},
                                        name="web server", daemon=True)

    @property
    def port(self) -> int:
        """The port."""
        return int(self._server.server_address[1])

    @property
    def address(self) -> str:
        """The page's address, with its token: whoever has it can do what the page can."""
        return f"http://{ADDRESS}:{self.port}/{self._token}/"

    def __enter__(self) -> WebServer:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingMixIn, TCPServer):
    # Not http.server's class, which looks up a name for the address. A thread that waits does not keep the process.
    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, address: tuple[str, int], routes: Routes, token: str) -> None:
        self.routes, self.token = routes, token.encode()
        self._free = threading.BoundedSemaphore(MAX_CONNECTIONS)
        super().__init__(address, _Handler)
        self.host = f"{ADDRESS}:{self.server_address[1]}"

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._free.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        # A browser that goes away is no error.
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            _report(error)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    timeout = READ_TIMEOUT_S

    def do_GET(self) -> None:
        self._handle(b"")

    def do_POST(self) -> None:
        self._handle(None)

    def _handle(self, body: bytes | None) -> None:
        status, route, query = self._find()
        if route is not None and body is None:
            status, body = self._read_body(route)
        if route is None or body is None:
            self._refuse(status)
            return
        try:
            answer = route.answer(Request(query, body))
        except UserError as error:
            answer = Answer.of_json({"error": str(error)}, 400)
        except Exception as error:  # noqa: BLE001  the page says it, and the others are served
            _report(error)
            answer = Answer.of_json({"error": f"an error in the server: {type(error).__name__}"}, 500)
        self._send(answer)

    def _find(self) -> tuple[int, Route | None, dict[str, str]]:
        """The status of a refusal, the route if there is one, and the fields after ``?``."""
        if len(self.path) > MAX_TARGET:
            return 414, None, {}
        path, _, query = self.path.partition("?")
        start, token, name = path.split("/", 2) if path.count("/") > 1 else (path, "", "")
        if start or not hmac.compare_digest(token.encode("latin-1"), self.server.token):
            return 404, None, {}
        if not self._is_from_here():
            return 403, None, {}
        route = self.server.routes.get((self.command, name))
        try:
            fields = dict(parse_qsl(query, max_num_fields=MAX_QUERY_FIELDS))
        except ValueError:
            return 400, None, {}
        return 404, route, fields

    def _is_from_here(self) -> bool:
        """Whether the request comes from the page itself, or, for a GET, from a user who opens the address."""
        own = f"http://{self.server.host}"
        if self.headers.get_all("Host") != [self.server.host]:
            return False
        origin, site = self.headers.get_all("Origin"), self.headers.get("Sec-Fetch-Site", "none")
        if origin not in ((None, [own]) if self.command == "GET" else ([own],)):
            return False
        is_opened = self.command == "GET" and self.headers.get("Sec-Fetch-Mode") == "navigate" \
            and self.headers.get("Sec-Fetch-Dest") == "document"
        return site in ("same-origin", "none") or is_opened

    def _read_body(self, route: Route) -> tuple[int, bytes | None]:
        """The status of a refusal, or the body."""
        lengths = self.headers.get_all("Content-Length") or []
        if "Transfer-Encoding" in self.headers or len(lengths) != 1 or not lengths[0].isdecimal():
            return 411, None
        if self.headers.get_content_type() != route.kind:
            return 415, None
        if len(lengths[0]) > 12 or int(lengths[0]) > route.max_body:
            return 413, None
        body = self.rfile.read(int(lengths[0]))
        return 400, body if len(body) == int(lengths[0]) else None

    def _refuse(self, status: int) -> None:
        self.close_connection = True
        self._send(Answer(status=status, kind="text/plain", headers={"Connection": "close"}))

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Without the page of http.server, which quotes the request."""
        self._refuse(code)

    def _send(self, answer: Answer) -> None:
        with contextlib.suppress(OSError):
            self.send_response(answer.status)
            for name, text in {**SECURITY_HEADERS, "Content-Type": answer.kind, **answer.headers,
                               "Content-Length": str(len(answer.content))}.items():
                self.send_header(name, text)
            self.end_headers()
            self.wfile.write(answer.content)

    def version_string(self) -> str:
        """For the header Server: it tells no versions."""
        return "regionmask_ros"

    def log_message(self, *arguments: object) -> None:
        """Prints nothing: an address holds the token."""


def _report(error: BaseException | None) -> None:
    text = " ".join(str(error).split())
    print(f"regionmask_ros: caught in the web server: {type(error).__name__}: {text}", file=sys.stderr)
