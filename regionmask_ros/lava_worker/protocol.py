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

What the messages between a pipeline and a Lava process hold. Numbers are little endian.

==========  =========  =====================================================================================
to Lava     kind       body
==========  =========  =====================================================================================
OPEN        1          u32 length of JSON, JSON (``NetworkHeader``), then every layer's weight and bias, int32
FRAME       2          u32 n, n times u32 index (flat, y x channel, ascending), n times i8 message / 2**4
FLUSH       3          u32 n: as many steps without events; their answers are of kind STEPPED
==========  =========  =====================================================================================

==========  =========  =====================================================================================
from Lava   kind       body
==========  =========  =====================================================================================
READY       65         JSON: versions, for people and diagnostics
STEPPED     66         empty: one more step was taken, and no frame's answer fell due in it
RESULT      67         one more step was taken; u32 rows, cols, channels, layers; f64 milliseconds of the step;
                       i64 events of each layer but the head; i64 synops of each layer; the head, int32.
                       layers is 0, and there are no counts, where nobody counts
FAILED      68         UTF-8 text, one line: why it ends now
PROFILE     69         JSON: what a profiler measured
==========  =========  =====================================================================================

Whoever has had enough closes the stream: then the other end ends, too.

An encoder message is a multiple of 2**4 within 8 bits, so one byte holds it; a held pixel is not there at all.
"""

from __future__ import annotations

import json
import select
import socket
import struct
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

HEAD = struct.Struct("<4sBBHIQ")
MAGIC, VERSION = b"RMLW", 1
CHUNK_BYTES = 1 << 20


class ProtocolError(Exception):
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
    """Cuts a stream into messages. ``max_bytes``: a longer body breaks the wire before it takes memory."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[Message]:
        """The messages that these bytes complete. Raises WireBroken for a head that cannot be."""
        self._buffer += data
        messages, start = [], 0
        while len(self._buffer) - start >= HEAD.size:
            magic, version, kind, zero, length, sequence = HEAD.unpack_from(self._buffer, start)
            if magic != MAGIC or version != VERSION or zero:
                raise ProtocolError("what came is not a message of this version")
            if length > self._max_bytes:
                raise ProtocolError(f"a message of {length} bytes came, at most {self._max_bytes} are allowed")
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

    def __init__(self, end: socket.socket, max_bytes: int) -> None:
        end.setblocking(False)
        self._socket = end
        self._splitter = Splitter(max_bytes)
        self._received: deque[Message] = deque()

    def send(self, data: bytes, timeout_s: float) -> None:
        """Sends all of it. Raises WireBroken when the other end has gone or takes nothing for ``timeout_s``."""
        rest = memoryview(data)
        while rest:
            readable, writable, _ = select.select([self._socket], [self._socket], [], timeout_s)
            if not (readable or writable):
                raise ProtocolError(f"it took no data for {timeout_s:g} s")
            if readable:
                self._read()
            if writable:
                try:
                    rest = rest[self._socket.send(rest[:CHUNK_BYTES]):]
                except BlockingIOError:
                    continue
                except OSError as error:
                    raise ProtocolError("it has ended") from error

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
            raise ProtocolError("it has ended") from error
        if not data:
            raise ProtocolError("it has ended")
        self._received.extend(self._splitter.feed(data))


OPEN, FRAME, FLUSH = 1, 2, 3
READY, STEPPED, RESULT, FAILED, PROFILE = 65, 66, 67, 68, 69

MESSAGE_SHIFT = 4
"""An encoder message on the wire is worth 2**4 of the engine's: the spike exponent of Lava's models here."""

MAX_LAYERS = 1000
_COUNT = struct.Struct("<I")
_RESULT = struct.Struct("<IIIId")


@dataclass(frozen=True)
class LayerArrays:
    """A layer as Lava needs it. weight: int32 [out, in, k, k], correlation. bias: int32 [out], None for the head."""

    name: str
    weight: np.ndarray
    bias: np.ndarray | None
    stride: int
    padding: int
    threshold: int


@dataclass(frozen=True)
class NetworkHeader:
    """What OPEN tells. shape: (rows, cols, channels) of the input. settings: of the backend, JSON's types."""

    shape: tuple[int, int, int]
    encoder_threshold: int
    layers: tuple[LayerArrays, ...]
    settings: Mapping[str, Any]


@dataclass(frozen=True)
class Answer:
    """A RESULT: head int32 [rows, cols, channels], events of each layer but the head, synops of each layer."""

    head: np.ndarray
    layer_events: tuple[int, ...]
    synops: tuple[int, ...]
    step_ms: float


def pack_open(header: NetworkHeader) -> bytes:
    facts = {
        "shape": header.shape, "encoder_threshold": header.encoder_threshold, "settings": dict(header.settings),
        "layers": [
            {"name": layer.name, "weight": layer.weight.shape, "bias": layer.bias is not None, "stride": layer.stride,
             "padding": layer.padding, "threshold": layer.threshold}
            for layer in header.layers
        ],
    }
    text = json.dumps(facts).encode()
    arrays = [array for layer in header.layers for array in (layer.weight, layer.bias) if array is not None]
    return b"".join([_COUNT.pack(len(text)), text, *(np.ascontiguousarray(a, "<i4").tobytes() for a in arrays)])


def unpack_open(body: bytes) -> NetworkHeader:
    """Raises WireBroken for a body that is not what ``pack_open`` makes."""
    try:
        (length,) = _COUNT.unpack_from(body)
        facts = json.loads(body[_COUNT.size:_COUNT.size + length])
        place, layers = _COUNT.size + length, []
        for fact in facts["layers"]:
            weight, place = _take(body, place, [int(side) for side in fact["weight"]])
            bias = None
            if fact["bias"]:
                bias, place = _take(body, place, [len(weight)])
            numbers = (int(fact[key]) for key in ("stride", "padding", "threshold"))
            layers.append(LayerArrays(str(fact["name"]), weight, bias, *numbers))
        rows, cols, channels = (int(side) for side in facts["shape"])
        threshold, settings = int(facts["encoder_threshold"]), dict(facts["settings"])
    except (struct.error, ValueError, KeyError, TypeError) as error:
        raise ProtocolError("a network came that cannot be read") from error
    if place != len(body):
        raise ProtocolError("a network came that is longer than it says")
    return NetworkHeader((rows, cols, channels), threshold, tuple(layers), settings)


def _take(body: bytes, place: int, shape: list[int]) -> tuple[np.ndarray, int]:
    count = int(np.prod(shape, dtype=object))
    return np.frombuffer(body, "<i4", count, place).reshape(shape), place + 4 * count


def pack_frame(index: np.ndarray, message: np.ndarray) -> bytes:
    """index: int32 [n], ascending. message: int32 [n] at 2**10. Raises ValueError for one that is no encoder message.
    """
    small = message >> MESSAGE_SHIFT
    if len(small) and (small.min() < -128 or small.max() > 127 or (small << MESSAGE_SHIFT != message).any()):
        raise ValueError("an encoder message is a multiple of 16 within 8 bits")
    return b"".join([_COUNT.pack(len(index)), np.ascontiguousarray(index, "<u4").tobytes(),
                     small.astype("i1").tobytes()])


def unpack_frame(body: bytes, size: int) -> tuple[np.ndarray, np.ndarray]:
    """(index uint32 [n], message / 2**4 int8 [n]) of an input of ``size`` values. Raises WireBroken."""
    count = _count_in(body)
    if len(body) != _COUNT.size + 5 * count:
        raise ProtocolError("a frame came whose length is not what it says")
    index = np.frombuffer(body, "<u4", count, _COUNT.size)
    message = np.frombuffer(body, "i1", count, _COUNT.size + 4 * count)
    if count and (index[-1] >= size or (index[1:] <= index[:-1]).any()):
        raise ProtocolError("a frame came with events outside of the input, or out of order")
    return index, message


def pack_flush(steps: int) -> bytes:
    return _COUNT.pack(steps)


def unpack_flush(body: bytes) -> int:
    if len(body) != _COUNT.size:
        raise ProtocolError("a flush came whose length is wrong")
    return _count_in(body)


def pack_result(answer: Answer) -> bytes:
    head = np.ascontiguousarray(answer.head, "<i4")
    counts = np.array([*answer.layer_events, *answer.synops], "<i8")
    return _RESULT.pack(*head.shape, len(answer.synops), answer.step_ms) + counts.tobytes() + head.tobytes()


def unpack_result(body: bytes, shape: tuple[int, int, int], layers: int) -> Answer:
    """An answer whose head is [rows, cols, channels] of ``shape``, with counts of so many layers (0: no counts).

    Raises WireBroken for any other.
    """
    try:
        *found, count, step_ms = _RESULT.unpack_from(body)
    except struct.error as error:
        raise ProtocolError("a result came that is too short") from error
    numbers = max(0, 2 * layers - 1)
    if tuple(found) != shape or count != layers or len(body) != _RESULT.size + 8 * numbers + 4 * int(np.prod(shape)):
        raise ProtocolError(f"a result came of {found} and {count} layers, expected {list(shape)} and {layers}")
    counts = np.frombuffer(body, "<i8", numbers, _RESULT.size)
    head = np.frombuffer(body, "<i4", offset=_RESULT.size + 8 * numbers).reshape(shape).astype(np.int32)
    events = max(0, layers - 1)
    return Answer(head, _numbers(counts[:events]), _numbers(counts[events:]), float(step_ms))


def _numbers(counts: np.ndarray) -> tuple[int, ...]:
    return tuple(int(count) for count in counts)


def pack_json(facts: Mapping[str, Any]) -> bytes:
    return json.dumps(facts).encode()


def unpack_json(body: bytes) -> dict[str, Any]:
    """Raises WireBroken for anything but a JSON object."""
    try:
        facts = json.loads(body)
    except ValueError as error:
        raise ProtocolError("facts came that are no JSON") from error
    if not isinstance(facts, dict):
        raise ProtocolError("facts came that are no JSON object")
    return facts


def to_one_line(words: Sequence[object]) -> bytes:
    """The body of FAILED."""
    return " ".join(" ".join(map(str, words)).split())[:1000].encode()


def _count_in(body: bytes) -> int:
    if len(body) < _COUNT.size:
        raise ProtocolError("a message came that is too short")
    return _COUNT.unpack_from(body)[0]
