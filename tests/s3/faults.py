"""An HTTP proxy that stands in front of an S3 server and breaks what passes, as told by a test.

    with FaultProxy(server.endpoint) as proxy:
        proxy.add("503", method="PUT", times=2)
        ...  # a client that talks to proxy.endpoint
        assert [r.fault for r in proxy.requests] == ["503", "503", None]

It runs in a thread of the test's own process. Signatures stay valid: a request is passed on with
every header that the client signed, `Host` among them.
"""

import asyncio
import re
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Literal
from urllib.parse import urlsplit

Action = Literal[
    "503",  # SlowDown, as S3 says it when requests come too fast
    "500",
    "reset",  # the connection breaks before anything is answered
    "reset_after",  # it breaks once `after` bytes of the request's body have come
    "truncate",  # it ends after `after` bytes of the answer's body
    "lose",  # the server does what it is asked, and the answer never arrives
    "delay",  # the request waits for `seconds`
]
ERRORS = {"503": ("Slow Down", "SlowDown"), "500": ("Internal Server Error", "InternalError")}
CHUNK = 1 << 16


@dataclass
class Fault:
    """What to do to the next `times` requests that match."""

    action: Action
    method: str | None = None
    path: str = ""  # searched for as a regular expression in path and query
    times: int = 1
    after: int = 0
    seconds: float = 0.0

    def fits(self, method: str, path: str) -> bool:
        return (
            self.times > 0
            and self.method in (None, method)
            and re.search(self.path, path) is not None
        )


@dataclass(frozen=True)
class Request:
    """A request that came, and the fault it met."""

    method: str
    path: str
    fault: Action | None


class CutError(Exception):
    """The connection to the client ends here."""


class FaultProxy:
    """See the module. `requests` is the log, `clear` forgets the faults that are left."""

    def __init__(self, upstream: str) -> None:
        address = urlsplit(upstream)
        self._upstream = (address.hostname, address.port)
        self._faults: list[Fault] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self.requests: list[Request] = []

    def __enter__(self) -> "FaultProxy":
        self._thread.start()
        starting = asyncio.start_server(self._serve, "127.0.0.1", 0, limit=1 << 20)
        self._server = asyncio.run_coroutine_threadsafe(starting, self._loop).result(10)
        self.endpoint = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def add(
        self,
        action: Action,
        *,
        method: str | None = None,
        path: str = "",
        times: int = 1,
        after: int = 0,
        seconds: float = 0.0,
    ) -> None:
        """Break the next `times` matching requests. Faults added first are met first."""
        self._faults.append(Fault(action, method, path, times, after, seconds))

    def clear(self) -> None:
        self._faults.clear()

    async def _end(self) -> None:
        self._server.close()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        """Serve one connection of a client with one of our own to the server."""
        server, to_server = await asyncio.open_connection(*self._upstream)
        try:
            while await self._exchange(client, to_client, server, to_server):
                pass
        except (CutError, asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            to_server.close()
            to_client.close()

    async def _exchange(
        self,
        client: asyncio.StreamReader,
        to_client: asyncio.StreamWriter,
        server: asyncio.StreamReader,
        to_server: asyncio.StreamWriter,
    ) -> bool:
        """Pass one request and its answer; True when the connection can take another."""
        head, first, headers = await _read_head(client)
        method, path, _ = first.split(" ")
        fault = next((each for each in self._faults if each.fits(method, path)), None)
        action = fault.action if fault else None
        if fault:
            fault.times -= 1
        self.requests.append(Request(method, path, action))

        if fault and action == "delay":
            await asyncio.sleep(fault.seconds)
        if action == "reset":
            _reset(to_client)
            raise CutError
        if headers.get("expect", "").lower() == "100-continue":
            # Said for the server, which would else have to be asked: one exchange is enough.
            to_client.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            head = re.sub(rb"(?i)\r\nexpect:[^\r]*", b"", head)
        if action in ERRORS:
            await _pass_body(client, headers, None)
            to_client.write(_error(str(action), with_body=method != "HEAD"))
            await to_client.drain()
            return False

        to_server.write(head)
        if fault and action == "reset_after":
            await _pass_body(client, headers, to_server, stop_after=fault.after)
            _reset(to_client)
            raise CutError
        await _pass_body(client, headers, to_server)

        answer, first, answer_headers = await _read_head(server)
        if action == "lose":
            _reset(to_client)
            raise CutError
        to_client.write(answer)
        if method != "HEAD" and first.split(" ")[1] not in ("204", "304"):
            stop_after = fault.after if fault and action == "truncate" else None
            await _pass_body(server, answer_headers, to_client, stop_after=stop_after)
        await to_client.drain()
        return True


async def _read_head(reader: asyncio.StreamReader) -> tuple[bytes, str, dict[str, str]]:
    """Return the bytes of a head, its first line and its headers in lower case."""
    head = await reader.readuntil(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").rstrip().split("\r\n")
    pairs = (line.partition(":") for line in lines)
    return head, first, {name.lower(): value.strip() for name, _, value in pairs}


async def _pass_body(
    reader: asyncio.StreamReader,
    headers: dict[str, str],
    writer: asyncio.StreamWriter | None,
    stop_after: int | None = None,
) -> None:
    """Pass a body on, or drop it without a writer; raise CutError after `stop_after` bytes."""
    send: Callable[[bytes], None] = writer.write if writer else lambda data: None
    if "chunked" in headers.get("transfer-encoding", ""):
        size = -1
        while size:
            line = await reader.readline()
            size = int(line.split(b";")[0], 16)
            send(line + await reader.readexactly(size + 2))
    left = int(headers.get("content-length", 0))
    allowed = left if stop_after is None else min(left, stop_after)
    is_cut = allowed < left
    while allowed:
        data = await reader.read(min(CHUNK, allowed))
        if not data:
            raise CutError
        allowed -= len(data)
        send(data)
        if writer:
            await writer.drain()
    if is_cut:
        raise CutError


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close with a TCP reset, as a machine that falls over does."""
    linger_not = struct.pack("ii", 1, 0)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger_not)
    writer.transport.abort()


def _error(status: str, *, with_body: bool) -> bytes:
    reason, code = ERRORS[status]
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>Fault</Message></Error>"
    head = (
        f"HTTP/1.1 {status} {reason}\r\nContent-Type: application/xml\r\nConnection: close\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return (head + (body if with_body else "")).encode()
