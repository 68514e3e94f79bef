"""Messages on a byte stream: a head that says what follows and how long it is, then a body.

Head, 20 bytes, little endian::

    offset  size  what
    0       4     b"RMLW"
    4       1     version of this format, 1
    5       1     kind of message, see ``messages``
    6       2     0
    8       4     length of the body in bytes
    12      8     sequence number of the frame that it is about, 0 if it is about none

Both ends check every head; a body is read only when its length is within what the reader allows for. Nothing on the
wire is executed: bodies are numbers and JSON (see ``messages``), never pickles.
"""

from __future__ import annotations

import select
import socket
import struct
import time
from collections import deque
from dataclasses import dataclass

HEAD = struct.Struct("<4sBBHIQ")
MAGIC, VERSION = b"RMLW", 1
CHUNK_BYTES = 1 << 20


class WireBroken(Exception):
    """The other end has gone, or does not speak this format. ``str`` says which."""


@dataclass(frozen=True)
class Message:
    """kind: 0 to 255. sequence: see the format. body: as it came."""

    kind: int
    sequence: int
    body: bytes


def pack(kind: int, body: bytes = b"", sequence: int = 0) -> bytes:
    """A whole message as it goes over the wire."""
    return HEAD.pack(MAGIC, VERSION, kind, 0, len(body), sequence) + body


class Splitter:
    """Cuts a stream into messages. ``most_bytes``: a longer body breaks the wire before it takes memory."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[Message]:
        """The messages that these bytes complete. Raises WireBroken for a head that cannot be."""
        self._buffer += data
        messages, start = [], 0
        while len(self._buffer) - start >= HEAD.size:
            magic, version, kind, zero, length, sequence = HEAD.unpack_from(self._buffer, start)
            if magic != MAGIC or version != VERSION or zero:
                raise WireBroken("what came is not a message of this version")
            if length > self._most_bytes:
                raise WireBroken(f"a message of {length} bytes came, at most {self._most_bytes} are allowed")
            end = start + HEAD.size + length
            if len(self._buffer) < end:
                break
            messages.append(Message(kind, sequence, bytes(self._buffer[start + HEAD.size:end])))
            start = end
        del self._buffer[:start]
        return messages


class Connection:
    """One end of a connected stream socket. Owns it. Not for use by two threads at a time.

    While it sends it also receives, so that two ends that send to each other cannot wait for ever.
    """

    def __init__(self, end: socket.socket, most_bytes: int) -> None:
        end.setblocking(False)
        self._socket = end
        self._splitter = Splitter(most_bytes)
        self._received: deque[Message] = deque()

    def send(self, data: bytes, timeout_s: float) -> None:
        """Sends all of it. Raises WireBroken when the other end has gone or takes nothing for ``timeout_s``."""
        rest = memoryview(data)
        while rest:
            readable, writable, _ = select.select([self._socket], [self._socket], [], timeout_s)
            if not (readable or writable):
                raise WireBroken(f"it took no data for {timeout_s:g} s")
            if readable:
                self._read()
            if writable:
                try:
                    rest = rest[self._socket.send(rest[:CHUNK_BYTES]):]
                except BlockingIOError:
                    continue
                except OSError as error:
                    raise WireBroken("it has ended") from error

    def receive(self, timeout_s: float) -> Message | None:
        """The next message, or None when none is complete within the time. Raises WireBroken."""
        deadline = time.monotonic() + timeout_s
        while not self._received:
            left = max(0.0, deadline - time.monotonic())
            if not select.select([self._socket], [], [], left)[0]:
                return None
            self._read()
        return self._received.popleft()

    def close(self) -> None:
        """Harmless when called twice. The other end sees the end of the stream."""
        self._socket.close()

    def _read(self) -> None:
        try:
            data = self._socket.recv(CHUNK_BYTES)
        except BlockingIOError:
            return
        except OSError as error:
            raise WireBroken("it has ended") from error
        if not data:
            raise WireBroken("it has ended")
        self._received.extend(self._splitter.feed(data))
