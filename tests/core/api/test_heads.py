"""Heads of requests: read on the short way only where there is nothing to be misunderstood."""

from __future__ import annotations

import httptools
from hypothesis import given, settings
from hypothesis import strategies as st

from dotpeen.api.heads import read_head


class _Parsed:
    """What the HTTP parser makes of a request."""

    def __init__(self, data: bytes) -> None:
        self.headers: list[tuple[bytes, bytes]] = []
        self.complete = 0
        self.keep_alive = False
        self._parser = httptools.HttpRequestParser(self)
        self._parser.feed_data(data)

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.lower(), value))

    def on_message_complete(self) -> None:
        self.complete += 1
        self.keep_alive = self._parser.should_keep_alive()


TOKEN = "dp_" + "0" * 16 + "_" + "x" * 43
FIELDS = st.sampled_from(
    [
        b"Host: plant",
        b"host: a",
        b"Authorization: Bearer " + TOKEN.encode(),
        b"authorization:Bearer " + TOKEN.encode(),
        b"Authorization: bearer   " + TOKEN.encode(),
        b"Connection: keep-alive",
        b"Connection: close",
        b"Connection: Upgrade",
        b"Content-Length: 5",
        b"Transfer-Encoding: chunked",
        b"Accept-Encoding: gzip;q=0",
        b"Accept-Encoding: gzip, br",
        b"X-Request-Id: a b",
        b"Accept : x",
        b" folded",
        b"Accept: \xff",
        b"Accept: a\tb",
        b"",
        b"Expect: 100-continue",
        b"traceparent: 00-" + b"a" * 32 + b"-" + b"b" * 16 + b"-01",
    ]
)


@settings(max_examples=300, deadline=None)
@given(fields=st.lists(FIELDS, max_size=6), ending=st.sampled_from([b"\r\n\r\n", b"\r\n", b"\n\n", b""]))
def test_a_head_is_read_only_where_the_parser_reads_the_same(fields: list[bytes], ending: bytes) -> None:
    rest = b"\r\n".join([b"Host: plant", b"Authorization: Bearer " + TOKEN.encode(), *fields]) + ending
    head = read_head(rest)
    if head is None:
        return
    parsed = _Parsed(b"GET / HTTP/1.1\r\n" + rest)
    assert (parsed.complete, parsed.keep_alive) == (1, True)
    found = dict(parsed.headers)
    assert len(found) == len(parsed.headers)
    assert found[b"authorization"].split()[-1].decode() == TOKEN
    assert head.request_id == found.get(b"x-request-id")
    assert head.traceparent == found.get(b"traceparent")
    assert not found.keys() & {b"content-length", b"transfer-encoding", b"upgrade", b"expect"}
