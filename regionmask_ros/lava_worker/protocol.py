"""The protocol between the pipeline and the worker process: messages on a stream socket.

A message is a header and a body. The header has 20 bytes, little endian::

    offset  size  content
    0       4     b"RMLW"
    4       1     version of the protocol, 1
    5       1     kind of message
    6       2     0
    8       4     length of the body in bytes
    12      8     sequence number of the frame that the message is about, 0 for none

Both sides check every header. A body is read only if its length is within the reader's limit. Bodies are numbers and
JSON, never pickles. All numbers are little endian.

==========  =========  =====================================================================================
to worker   kind       body
==========  =========  =====================================================================================
OPEN        1          u32 length of JSON, JSON (``NetworkHeader``), then weight and bias of each layer, int32
FRAME       2          u32 n, n times u32 index (flat, y x channel, ascending), n times i8 message / 2**4
FLUSH       3          u32 n: number of time steps without events; each is answered by STEPPED or RESULT
==========  =========  =====================================================================================

===========  =========  ====================================================================================
from worker  kind       body
===========  =========  ====================================================================================
READY        65         JSON: versions, latency, and the number of time steps before the first frame
STEPPED      66         empty: one more time step is complete; no frame's result came out in it
RESULT       67         one more time step is complete; u32 rows, cols, channels, layers; f64 milliseconds of
                        the step; i64 events of each layer but the head; i64 synops of each layer; the head,
                        int32. layers is 0, and there are no counts, if the worker does not count
FAILED       68         UTF-8 text, one line: why the worker ends
PROFILE      69         JSON: figures of a profiler
===========  =========  ====================================================================================

Either side ends the session by closing the socket; the other side then ends, too. An encoder message is a multiple of
2**4 within 8 bits, so one byte holds it. Pixels without an event are not sent.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

HEADER = struct.Struct("<4sBBHIQ")
MAGIC, VERSION = b"RMLW", 1

OPEN, FRAME, FLUSH = 1, 2, 3
READY, STEPPED, RESULT, FAILED, PROFILE = 65, 66, 67, 68, 69

MESSAGE_SHIFT = 4
"""Encoder messages are sent divided by 2**4, which is the spike exponent of Lava's models here."""

MAX_FAILURE_LENGTH = 1000
"""Characters of a FAILED text."""

_COUNT = struct.Struct("<I")
_RESULT = struct.Struct("<IIIId")


class ProtocolError(Exception):
    """The other side has closed the socket, or has sent something that is not in the protocol."""


@dataclass(frozen=True)
class Message:
    """One message.

    Attributes:
        kind: Kind of message, 0 to 255.
        sequence: Sequence number of its frame, 0 for none.
        body: The body as received.
    """

    kind: int
    sequence: int
    body: bytes


def pack(kind: int, body: bytes = b"", sequence: int = 0) -> bytes:
    """The bytes of a message."""
    return HEADER.pack(MAGIC, VERSION, kind, 0, len(body), sequence) + body


class Splitter:
    """Splits a byte stream into messages.

    Args:
        max_bytes: Largest length of a body. A header with a larger one is an error, before memory is allocated.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[Message]:
        """Adds bytes of the stream.

        Args:
            data: The next bytes.

        Returns:
            The messages that are complete now.

        Raises:
            ProtocolError: A header is invalid.
        """
        self._buffer += data
        messages, start = [], 0
        while len(self._buffer) - start >= HEADER.size:
            magic, version, kind, zero, length, sequence = HEADER.unpack_from(self._buffer, start)
            if magic != MAGIC or version != VERSION or zero:
                raise ProtocolError(f"the data is not a message of protocol version {VERSION}")
            if length > self._max_bytes:
                raise ProtocolError(f"a message has {length} bytes, at most {self._max_bytes} are allowed")
            end = start + HEADER.size + length
            if len(self._buffer) < end:
                break
            messages.append(Message(kind, sequence, bytes(self._buffer[start + HEADER.size:end])))
            start = end
        del self._buffer[:start]
        return messages


@dataclass(frozen=True)
class LayerArrays:
    """A layer as Lava needs it.

    Attributes:
        name: Name of the layer.
        weight: Kernel of a correlation, int32 [out, in / groups, k, k].
        bias: int32 [out]; None for the head.
        stride: Step between outputs, in inputs.
        padding: Zeros on each side.
        threshold: The change that a neuron must reach before it sends an event.
        exponent: Of the weights: an integer is a real number times 2^exponent.
        groups: Parts of the channels, see ``network.chain.ConvSpec``.
    """

    name: str
    weight: np.ndarray
    bias: np.ndarray | None
    stride: int
    padding: int
    threshold: int
    exponent: int
    groups: int


@dataclass(frozen=True)
class NetworkHeader:
    """Content of an OPEN message.

    Attributes:
        shape: (rows, cols, channels) of the network's input.
        encoder_threshold: Threshold of the encoder.
        layers: All layers, the head last.
        settings: Settings of the backend, in JSON's types.
    """

    shape: tuple[int, int, int]
    encoder_threshold: int
    layers: tuple[LayerArrays, ...]
    settings: Mapping[str, Any]


@dataclass(frozen=True)
class WorkerResult:
    """Content of a RESULT message.

    Attributes:
        head: int32 [rows, cols, channels].
        layer_events: Number of events of each layer but the head.
        synops: Number of synaptic operations of each layer.
        step_ms: Duration of the time step in milliseconds.
    """

    head: np.ndarray
    layer_events: tuple[int, ...]
    synops: tuple[int, ...]
    step_ms: float


def pack_open(header: NetworkHeader) -> bytes:
    """The body of OPEN."""
    facts = {
        "shape": header.shape, "encoder_threshold": header.encoder_threshold, "settings": dict(header.settings),
        "layers": [
            {"name": layer.name, "weight": layer.weight.shape, "bias": layer.bias is not None, "stride": layer.stride,
             "padding": layer.padding, "threshold": layer.threshold, "exponent": layer.exponent,
             "groups": layer.groups}
            for layer in header.layers],
    }
    text = json.dumps(facts).encode()
    arrays = [array for layer in header.layers for array in (layer.weight, layer.bias) if array is not None]
    return b"".join([_COUNT.pack(len(text)), text, *(np.ascontiguousarray(a, "<i4").tobytes() for a in arrays)])


def unpack_open(body: bytes) -> NetworkHeader:
    """Reads the body of OPEN.

    Args:
        body: As `pack_open` returns it.

    Returns:
        The network.

    Raises:
        ProtocolError: The body is invalid.
    """
    try:
        (length,) = _COUNT.unpack_from(body)
        facts = json.loads(body[_COUNT.size:_COUNT.size + length])
        place, layers = _COUNT.size + length, []
        for fact in facts["layers"]:
            weight, place = _read_array(body, place, [int(side) for side in fact["weight"]])
            bias = None
            if fact["bias"]:
                bias, place = _read_array(body, place, [len(weight)])
            numbers = (int(fact[key]) for key in ("stride", "padding", "threshold", "exponent", "groups"))
            layers.append(LayerArrays(str(fact["name"]), weight, bias, *numbers))
        rows, cols, channels = (int(side) for side in facts["shape"])
        threshold, settings = int(facts["encoder_threshold"]), dict(facts["settings"])
    except (struct.error, ValueError, KeyError, TypeError) as error:
        raise ProtocolError("the network in the message OPEN is invalid") from error
    if place != len(body):
        raise ProtocolError("the message OPEN is longer than its network")
    return NetworkHeader((rows, cols, channels), threshold, tuple(layers), settings)


def _read_array(body: bytes, place: int, shape: list[int]) -> tuple[np.ndarray, int]:
    """(int32 array at that offset, offset after it)."""
    count = int(np.prod(shape, dtype=object))
    return np.frombuffer(body, "<i4", count, place).reshape(shape), place + 4 * count


def pack_frame(index: np.ndarray, message: np.ndarray) -> bytes:
    """The body of FRAME.

    Args:
        index: Flat places of the events, int32 [n], ascending.
        message: Encoder messages, int32 [n] at 2**10.

    Returns:
        The body, 4 + 5 n bytes.

    Raises:
        ValueError: A message is not a multiple of 16 within 8 bits.
    """
    small = message >> MESSAGE_SHIFT
    if len(small) and (small.min() < -128 or small.max() > 127 or (small << MESSAGE_SHIFT != message).any()):
        raise ValueError("an encoder message must be a multiple of 16 within 8 bits")
    return b"".join([_COUNT.pack(len(index)), np.ascontiguousarray(index, "<u4").tobytes(),
                     small.astype("i1").tobytes()])


def unpack_frame(body: bytes, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Reads the body of FRAME.

    Args:
        body: As `pack_frame` returns it.
        size: Number of values of the network's input.

    Returns:
        (index, message / 2**4): uint32 [n], int8 [n].

    Raises:
        ProtocolError: The body is invalid.
    """
    count = _unpack_count(body)
    if len(body) != _COUNT.size + 5 * count:
        raise ProtocolError("the length of a frame does not fit its number of events")
    index = np.frombuffer(body, "<u4", count, _COUNT.size)
    message = np.frombuffer(body, "i1", count, _COUNT.size + 4 * count)
    if count and (index[-1] >= size or (index[1:] <= index[:-1]).any()):
        raise ProtocolError("the events of a frame lie outside of the input, or are not sorted")
    return index, message


def pack_flush(steps: int) -> bytes:
    """The body of FLUSH, for that number of time steps."""
    return _COUNT.pack(steps)


def unpack_flush(body: bytes) -> int:
    """Reads the body of FLUSH.

    Args:
        body: As `pack_flush` returns it.

    Returns:
        Number of time steps.

    Raises:
        ProtocolError: The body is invalid.
    """
    if len(body) != _COUNT.size:
        raise ProtocolError("the message FLUSH has the wrong length")
    return _unpack_count(body)


def pack_result(result: WorkerResult) -> bytes:
    """The body of RESULT."""
    head = np.ascontiguousarray(result.head, "<i4")
    counts = np.array([*result.layer_events, *result.synops], "<i8")
    return _RESULT.pack(*head.shape, len(result.synops), result.step_ms) + counts.tobytes() + head.tobytes()


def unpack_result(body: bytes, shape: tuple[int, int, int], layers: int) -> WorkerResult:
    """Reads the body of RESULT.

    Args:
        body: As `pack_result` returns it.
        shape: Expected (rows, cols, channels) of the head.
        layers: Expected number of layers with counts; 0: no counts.

    Returns:
        The result.

    Raises:
        ProtocolError: The body is invalid, or not what is expected.
    """
    try:
        *found, count, step_ms = _RESULT.unpack_from(body)
    except struct.error as error:
        raise ProtocolError("the message RESULT is too short") from error
    numbers = max(0, 2 * layers - 1)
    if tuple(found) != shape or count != layers or len(body) != _RESULT.size + 8 * numbers + 4 * int(np.prod(shape)):
        raise ProtocolError(f"a result has shape {found} and {count} layers, expected {list(shape)} and {layers}")
    counts = tuple(np.frombuffer(body, "<i8", numbers, _RESULT.size).tolist())
    head = np.frombuffer(body, "<i4", offset=_RESULT.size + 8 * numbers).reshape(shape).astype(np.int32)
    events = max(0, layers - 1)
    return WorkerResult(head, counts[:events], counts[events:], float(step_ms))


def pack_json(facts: Mapping[str, Any]) -> bytes:
    """The body of READY or PROFILE."""
    return json.dumps(facts).encode()


def unpack_json(body: bytes) -> dict[str, Any]:
    """Reads the body of READY or PROFILE.

    Args:
        body: As `pack_json` returns it.

    Returns:
        The JSON object.

    Raises:
        ProtocolError: The body is not a JSON object.
    """
    try:
        facts = json.loads(body)
    except ValueError as error:
        raise ProtocolError("a message is not JSON") from error
    if not isinstance(facts, dict):
        raise ProtocolError("a message is not a JSON object")
    return facts


def pack_failure(text: str) -> bytes:
    """The body of FAILED: the text in one line, cut at `MAX_FAILURE_LENGTH`."""
    return " ".join(text.split())[:MAX_FAILURE_LENGTH].encode()


def _unpack_count(body: bytes) -> int:
    if len(body) < _COUNT.size:
        raise ProtocolError("a message is too short")
    return int(_COUNT.unpack_from(body)[0])
