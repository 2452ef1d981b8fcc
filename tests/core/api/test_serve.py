"""Addresses, limits on what clients may do to a process, and processes that are watched."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from acceptance.serving import wait_for
from dotpeen.api import protocol, workers
from dotpeen.api.figures import RESTARTS, Board
from dotpeen.api.listeners import Listener, listen
from dotpeen.api.protocol import HEAD_BYTES, Protocol
from dotpeen.api.workers import Workers
from dotpeen.errors import ConfigurationError

pytestmark = pytest.mark.slow

LARGE = 48 << 20
"""More than sockets keep."""


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Answers with the length of the body; `/large` with megabytes."""
    length, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        length, more = length + len(message["body"]), message.get("more_body", False)
    body = b"x" * LARGE if scope["path"] == "/large" else str(length).encode()
    head = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": head})
    await send({"type": "http.response.body", "body": body})


@contextmanager
def answering(keep_alive: int = 75) -> Iterator[tuple[str, int]]:
    listener = listen("external", "127.0.0.1", 0, option="--port")
    config = uvicorn.Config(
        application,
        http=Protocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        timeout_keep_alive=keep_alive,
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=(list(listener.sockets),), daemon=True)
    address = listener.sockets[0].getsockname()
    thread.start()
    wait_for(lambda: server.started, "it answers")
    try:
        yield address
    finally:
        server.should_exit = True
        thread.join(20)


@pytest.fixture
def address() -> Iterator[tuple[str, int]]:
    with answering() as found:
        yield found


def exchange(address: tuple[str, int], *pieces: bytes, pause: float = 0.0) -> bytes:
    """Send pieces, then read until the other side closes."""
    with socket.create_connection(address, timeout=30) as connection:
        for piece in pieces:
            try:
                connection.sendall(piece)
            except (BrokenPipeError, ConnectionResetError):
                break
            time.sleep(pause)
        return everything(connection)


def everything(connection: socket.socket) -> bytes:
    found = b""
    while True:
        try:
            piece = connection.recv(65536)
        except ConnectionResetError:
            return found
        if not piece:
            return found
        found += piece


def problem(answer: bytes) -> dict[str, Any]:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"content-type: application/problem+json" in head
    found: dict[str, Any] = json.loads(body)
    assert head.startswith(f"HTTP/1.1 {found['status']} ".encode())
    return found


def test_a_request_in_many_pieces_is_a_request(address: tuple[str, int]) -> None:
    pieces = [
        bytes([byte])
        for byte in b"POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 3\r\n\r\nabc"
    ]
    assert exchange(address, *pieces).endswith(b"\r\n\r\n3")


def test_requests_that_come_together_are_answered_in_order(address: tuple[str, int]) -> None:
    first = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\nabcde"
    last = b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
    answer = exchange(address, first * 3 + last)
    assert [part.split(b"\r\n\r\n")[1][:1] for part in answer.split(b"HTTP/1.1 200 OK")[1:]] == [b"5"] * 3 + [
        b"0"
    ]


@pytest.mark.parametrize(
    "nonsense", [b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", b"hello\r\n\r\n", b"GET \xff HTTP/1.1\r\n\r\n"]
)
def test_what_is_no_http_is_a_problem(address: tuple[str, int], nonsense: bytes) -> None:
    assert problem(exchange(address, nonsense))["status"] == 400


@pytest.mark.parametrize("pause", [0.0, 0.05])
@pytest.mark.parametrize("name", [b"Upgrade", b"UPGRADE"])
def test_an_upgrade_that_is_asked_for_is_ignored(address: tuple[str, int], pause: float, name: bytes) -> None:
    """As Java's HttpClient does with every request; the parser would take the body for another protocol."""
    inner = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"
    head = b"POST / HTTP/1.1\r\nhost: x\r\nConnection: Upgrade, HTTP2-Settings\r\n" + name + b": h2c\r\n"
    last = b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
    answer = exchange(address, head + b"content-length: %d\r\n\r\n" % len(inner), inner + last, pause=pause)
    assert [part.split(b"\r\n\r\n")[1] for part in answer.split(b"HTTP/1.1 200 OK")[1:]] == [
        str(len(inner)).encode(),
        b"0",
    ]


@pytest.mark.parametrize("cut", range(1, 8))
def test_a_body_is_never_taken_for_a_request(address: tuple[str, int], cut: int) -> None:
    inner = b"GET /smuggled HTTP/1.1\r\nhost: x\r\n\r\n"
    head = b"POST / HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: foo\r\n"
    place = head.index(b"upgrade: foo") + cut
    length = b"content-length: %d\r\n\r\n" % len(inner)
    answer = exchange(address, head[:place], head[place:] + length, inner, pause=0.05)
    assert answer.count(b"HTTP/1.1 ") == 1


def test_trailers_are_not_headers_and_have_a_limit(address: tuple[str, int]) -> None:
    head = b"POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n"
    assert exchange(address, head + b"x-trailer: 1\r\n\r\n").endswith(b"\r\n\r\n3")
    lines = [b"x-trailer: " + b"a" * 8000 + b"\r\n" for _ in range(20)]
    assert problem(exchange(address, head, *lines, pause=0.01))["status"] == 431
    assert problem(exchange(address, head, b"x-trailer: ", *[b"a" * 8000] * 20, pause=0.01))["status"] == 431


def test_empty_lines_put_nothing_off() -> None:
    with answering(keep_alive=1) as address, socket.create_connection(address, timeout=30) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        assert connection.recv(65536)
        began = time.monotonic()
        ended = False
        while not ended:
            assert time.monotonic() - began < 20, "the connection is kept for ever"
            try:
                connection.sendall(b"\r\n")
                connection.settimeout(0.2)
                ended = connection.recv(1) == b""
            except TimeoutError:
                continue
            except OSError:
                ended = True


def test_a_client_that_does_not_read_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "KEEP_ALIVE_SECONDS", 1)
    with answering() as address, socket.create_connection(address, timeout=30) as connection:
        connection.sendall(b"GET /large HTTP/1.1\r\nhost: x\r\n\r\n" * 5)
        time.sleep(3)
        assert len(everything(connection)) < 5 * LARGE


def test_requests_that_nobody_reads_the_answers_of_are_not_read_either(address: tuple[str, int]) -> None:
    sent = 0
    with socket.create_connection(address, timeout=2) as connection, suppress(TimeoutError):
        while sent < 300 << 20:
            connection.sendall(b"GET / HTTP/1.1\r\nhost: x\r\nx-no-field-of-ours: 1\r\n\r\n" * 500)
            sent += 500 * 60
    assert sent < 300 << 20


@pytest.mark.parametrize("pause", [0.0, 0.01])
def test_headers_have_a_limit(address: tuple[str, int], pause: float) -> None:
    lines = [b"x-filler: " + b"a" * 8000 + b"\r\n" for _ in range(HEAD_BYTES // 8000 + 1)]
    answer = exchange(address, b"GET / HTTP/1.1\r\nhost: x\r\n", *lines, b"\r\n", pause=pause)
    assert problem(answer)["status"] == 431


def test_headers_without_an_end_are_not_kept(address: tuple[str, int]) -> None:
    answer = exchange(address, b"GET / HTTP/1.1\r\nx-filler: ", *[b"a" * 65536] * 64)
    assert answer == b"" or problem(answer)["status"] == 431


def test_headers_up_to_the_limit_pass(address: tuple[str, int]) -> None:
    filler = b"x-filler: " + b"a" * (HEAD_BYTES - 200) + b"\r\n"
    request = b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n" + filler + b"\r\n"
    assert exchange(address, request).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"", None),
        (b"GET / HTTP/1.1\r\nhost:", 408),
        (b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nabc", 408),
        (b"GET / HTTP/1.1\r\nhost: x\r\n\r\nGET / HTTP/1.1\r\nho", 408),
    ],
)
def test_who_is_too_slow_is_sent_away(
    address: tuple[str, int], sent: bytes, status: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.5)
    monkeypatch.setattr(protocol, "BODY_SECONDS", 0.5)
    began = time.monotonic()
    answer = exchange(address, sent)
    assert 0.4 < time.monotonic() - began < 10
    if status is None:
        assert answer == b""
    else:
        assert problem(answer[answer.rindex(b"HTTP/1.1 ") :])["status"] == status


def test_a_drop_now_and_then_does_not_help(address: tuple[str, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.6)
    with socket.create_connection(address, timeout=30) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\n")
        began = time.monotonic()
        gone = False
        while not gone and time.monotonic() - began < 10:
            try:
                connection.sendall(b"a: b\r\n")
            except OSError:  # reset, or a broken pipe
                gone = True
            time.sleep(0.1)
        assert gone
        assert time.monotonic() - began < 5


def test_a_pause_between_requests_is_allowed(
    address: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.3)
    with socket.create_connection(address, timeout=30) as connection:
        for _ in range(2):
            connection.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
            assert connection.recv(65536).startswith(b"HTTP/1.1 200")
            time.sleep(1)


def test_an_answer_that_nobody_fetches_is_thrown_away() -> None:
    with answering(keep_alive=1) as address, socket.create_connection(address, timeout=30) as connection:
        connection.sendall(b"GET /large HTTP/1.1\r\nhost: x\r\n\r\n")
        time.sleep(3)
        assert len(everything(connection)) < LARGE


def test_a_name_of_two_addresses_is_one_port() -> None:
    listener = listen("external", "localhost", 0, option="--port")
    try:
        ports = {one.getsockname()[1] for one in listener.sockets}
        assert len(ports) == 1
        assert listener.url in (f"http://127.0.0.1:{min(ports)}", f"http://[::1]:{min(ports)}")
    finally:
        listener.close()


@pytest.mark.parametrize("host", ["0.0.0.0", "127.0.0.1"])  # noqa: S104 - for a moment
def test_an_address_is_shown_as_a_browser_needs_it(host: str) -> None:
    listener = listen("external", host, 0, option="--port")
    try:
        assert listener.url.startswith("http://127.0.0.1:")
        assert listener.everywhere == (host != "127.0.0.1")
    finally:
        listener.close()


def test_an_address_that_is_none_is_an_error() -> None:
    with pytest.raises(ConfigurationError, match="is no address of this machine and no name"):
        listen("external", "no such host", 0, option="--port")


def supervise(
    folder: Path, work: Callable[[int, Callable[[], None], int], int], count: int = 2
) -> tuple[Any, Board]:
    """Run workers in a process of their own, as the command does; its pid."""
    board = Board(count)
    listener = listen("external", "127.0.0.1", 0, option="--port")
    child = os.fork()
    if child == 0:
        try:
            code = Workers(
                count, work, board, [listener], ready=lambda: (folder / "ready").touch(), grace=2
            ).run()
        finally:
            os._exit(code)
    listener.close()
    return child, board


def ended(pid: int, seconds: float = 30) -> int:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.02)
    os.kill(pid, signal.SIGKILL)
    raise AssertionError("it did not end")


def until_terminated(slot: int, ready: Callable[[], None], parent: int) -> int:
    async def wait() -> None:
        stop = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
        ready()
        await stop.wait()

    asyncio.run(wait())
    return 0


def test_workers_that_end_in_order_end_in_order(tmp_path: Path) -> None:
    pid, _ = supervise(tmp_path, until_terminated)
    wait_for((tmp_path / "ready").exists, "ready")
    os.kill(pid, signal.SIGTERM)
    assert ended(pid) == 0


def test_one_that_can_t_start_ends_them_all(tmp_path: Path) -> None:
    def work(slot: int, ready: Callable[[], None], parent: int) -> int:
        if slot == 1:
            raise ConfigurationError("nothing works")
        return until_terminated(slot, ready, parent)

    pid, _ = supervise(tmp_path, work)
    assert ended(pid) == 1
    assert not (tmp_path / "ready").exists()


def test_one_that_keeps_dying_is_started_more_and_more_seldom(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "LONGEST_PAUSE", 1.0)

    def work(slot: int, ready: Callable[[], None], parent: int) -> int:
        with (tmp_path / "starts").open("a") as starts:
            starts.write(f"{time.monotonic()}\n")
        if (tmp_path / "ready").exists():
            os._exit(9)
        ready()
        wait_for((tmp_path / "ready").exists, "the others")
        time.sleep(0.2)
        os._exit(9)

    pid, board = supervise(tmp_path, work, count=1)

    def starts() -> list[float]:
        path = tmp_path / "starts"
        return [float(line) for line in path.read_text().split()] if path.exists() else []

    wait_for(lambda: len(starts()) >= 5, "it was started again")
    os.kill(pid, signal.SIGINT)
    assert ended(pid) == 0
    gaps = [later - sooner for sooner, later in zip(starts()[1:], starts()[2:], strict=False)]
    assert gaps[0] >= 0.5
    assert gaps[1] >= 1.0
    assert board.totals()[RESTARTS,][0] == len(starts()) - 1


def test_one_that_does_not_end_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "_MARGIN", 0.0)

    def work(slot: int, ready: Callable[[], None], parent: int) -> int:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        ready()
        time.sleep(3600)
        return 0

    pid, _ = supervise(tmp_path, work)
    wait_for((tmp_path / "ready").exists, "ready")
    began = time.monotonic()
    os.kill(pid, signal.SIGTERM)
    ended(pid)
    assert 1.5 < time.monotonic() - began < 15


def test_listeners_of_a_server_that_ends_take_nobody_any_more() -> None:
    listener = listen("external", "127.0.0.1", 0, option="--port")
    address = listener.sockets[0].getsockname()
    assert isinstance(listener, Listener)
    listener.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address, timeout=5)
