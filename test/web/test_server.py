"""The local web server: what it answers, and all that it refuses."""

from __future__ import annotations

import http.client
import json
import socket

import pytest

from regionmask_ros.errors import UserError
from regionmask_ros.web.browser import show_address
from regionmask_ros.web.server import ADDRESS, MAX_TARGET, Answer, Route, WebServer, page_routes


def fail(request):
    raise RuntimeError("a bug")


ROUTES = {
    **page_routes("common.css"),
    ("GET", "state"): Route(lambda request: Answer.of_json({"id": request.query.get("id")})),
    ("POST", "echo"): Route(lambda request: Answer.of_json(request.read_json()), max_body=100),
    ("GET", "bug"): Route(fail),
}


@pytest.fixture(scope="module")
def server():
    with WebServer(ROUTES) as opened:
        yield opened


def ask(server, target, method="GET", body=None, host=None, path=None, **headers):
    """Status, headers and body of an answer. ``host`` and ``path`` replace what a browser would send."""
    host = host or f"{ADDRESS}:{server.port}"
    sent = {"Host": host, **{name.replace("_", "-"): text for name, text in headers.items()}}
    connection = http.client.HTTPConnection(ADDRESS, server.port, timeout=20)
    token = server.address.split("/")[3]
    connection.request(method, path or f"/{token}/{target}", body, sent)
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer.status, dict(answer.getheaders()), content


def post(server, body=b"{}", **headers):
    given = {"Origin": f"http://{ADDRESS}:{server.port}", "Content-Type": "application/json", **headers}
    return ask(server, "echo", "POST", body, **given)


def test_a_page_and_its_state_are_answered(server):
    status, headers, content = ask(server, "")
    assert status == 200 and headers["Content-Type"].startswith("text/css") and b":root" in content
    assert ask(server, "state?id=7")[2] == b'{"id": "7"}'
    assert json.loads(post(server, b'{"a": 1}')[2]) == {"a": 1}


def test_each_answer_has_headers_that_forbid_foreign_content(server):
    for headers in (ask(server, "")[1], ask(server, "", path="/")[1]):
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert (headers["X-Content-Type-Options"], headers["Referrer-Policy"]) == ("nosniff", "no-referrer")
        assert headers["Cache-Control"] == "no-store" and headers["Server"] == "regionmask_ros"


@pytest.mark.parametrize("path", [
    "/", "/state", "//state", "state", "/x/state", "/%2e%2e/state", "http://127.0.0.1/", "/\xff/state",
    "/{token}x/state", "/{token}", "/{token}/../state", "/{token}/../../../../etc/passwd", "/{token}/%2e%2e/setup.py",
    "/{token}/state/", "/{token}//etc/passwd", "/{token}/common.css\x00", "/{token}/server.py",
])
def test_another_path_or_token_is_refused(server, path):
    status, _, content = ask_raw(server, path.format(token=server.address.split("/")[3]))
    assert status in (400, 404) and content == b""


def ask_raw(server, path):
    with socket.create_connection((ADDRESS, server.port), 20) as client:
        client.sendall(f"GET {path} HTTP/1.1\r\nHost: {ADDRESS}:{server.port}\r\n\r\n".encode("latin-1"))
        said = b"".join(iter(lambda: client.recv(4096), b""))
    head, _, content = said.partition(b"\r\n\r\n")
    return int(head.split()[1]), head, content


@pytest.mark.parametrize("host", ["evil.example", "evil.example:{port}", "localhost:{port}", "127.0.0.1",
                                  "[::1]:{port}", "127.0.0.1:{port}.evil.example"])
def test_another_host_is_refused(server, host):
    assert ask(server, "state", host=host.format(port=server.port))[::2] == (403, b"")


def test_two_hosts_or_none_are_refused(server):
    own = f"Host: {ADDRESS}:{server.port}\r\n"
    for hosts in ("", own + own):
        with socket.create_connection((ADDRESS, server.port), 20) as client:
            client.sendall(f"GET /{server.address.split('/')[3]}/state HTTP/1.1\r\n{hosts}\r\n".encode())
            assert b" 403 " in client.recv(100)


@pytest.mark.parametrize("headers", [
    {"Origin": "http://evil.example"}, {"Origin": "null"}, {"Origin": "http://127.0.0.1"},
    {"Sec_Fetch_Site": "cross-site"}, {"Sec_Fetch_Site": "same-site"},
])
def test_another_page_is_refused(server, headers):
    assert ask(server, "state", **headers)[::2] == (403, b"")
    assert post(server, **headers)[::2] == (403, b"")


def test_a_post_needs_an_origin(server):
    assert ask(server, "echo", "POST", b"{}", Content_Type="application/json")[0] == 403


def test_a_link_elsewhere_may_open_the_page(server):
    sent = {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "document"}
    assert ask(server, "", **sent)[0] == 200
    assert post(server, **sent)[0] == 403


@pytest.mark.parametrize(("body", "headers", "status"), [
    (b"x" * 101, {}, 413),
    (b"", {"Content_Length": "9" * 30}, 413),
    (b"", {"Content_Length": "-1"}, 411),
    (b"", {"Content_Length": "1e1"}, 411),
    (b"0\r\n\r\n", {"Transfer_Encoding": "chunked"}, 411),
    (b"{}", {"Content-Type": "text/plain"}, 415),
    (b"{}", {"Content-Type": "application/x-www-form-urlencoded"}, 415),
])
def test_a_body_of_another_size_or_kind_is_refused(server, body, headers, status):
    assert post(server, body, **headers)[::2] == (status, b"")


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff", b"[" * 90])
def test_a_body_that_is_no_object_is_one_line(server, body):
    status, _, content = post(server, body)
    assert status == 400 and json.loads(content)["error"].startswith("the request is no JSON")


def test_too_much_in_an_address_is_refused(server):
    assert ask(server, "state?" + "x" * MAX_TARGET)[0] == 414
    assert ask(server, "state?" + "a=1&" * 20)[0] == 400


def test_other_methods_are_refused_without_a_page(server):
    for method in ("PUT", "OPTIONS", "TRACE", "HEAD", "CONNECT"):
        assert ask(server, "state", method)[::2] == (501, b"")
    assert ask(server, "echo")[0] == 404


def test_a_bug_in_a_route_is_answered_and_reported_in_one_line(server, capsys):
    status, _, content = ask(server, "bug")
    assert (status, json.loads(content)) == (500, {"error": "an error in the server: RuntimeError"})
    said = capsys.readouterr().err
    assert "RuntimeError: a bug" in said and said.count("\n") == 1


def test_nothing_listens_on_another_interface(server):
    # All of 127/8 is this computer: a server on all interfaces would answer here.
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.2", server.port), 20)


def test_a_port_in_use_is_one_line(server):
    with pytest.raises(UserError, match=f"port {server.port} on 127.0.0.1: .*; choose another one"):
        WebServer({}, server.port)


def test_two_servers_have_different_tokens_and_a_closed_one_answers_nothing(server):
    with WebServer(ROUTES) as other:
        assert ask(other, "state")[0] == 200
        assert ask(other, "state", path=f"/{server.address.split('/')[3]}/state")[0] == 404
        port = other.port
    with pytest.raises(OSError):
        socket.create_connection((ADDRESS, port), 20)


def test_a_browser_is_opened_where_there_is_a_screen(capsys, monkeypatch):
    opened = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    show_address("http://a/", True, {})
    show_address("http://b/", False, {"DISPLAY": ":0"})
    show_address("http://c/", True, {"DISPLAY": ":0"})
    assert opened == ["http://c/"] and capsys.readouterr().out == "open http://a/\nopen http://b/\nopen http://c/\n"
