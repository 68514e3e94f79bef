"""The protocol with the worker process: messages are received as they were sent, and invalid ones are rejected."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regionmask_ros.lava_worker import protocol
from regionmask_ros.lava_worker.protocol import (
    HEADER,
    LayerArrays,
    NetworkHeader,
    ProtocolError,
    Splitter,
    WorkerResult,
    pack,
)

MESSAGES = st.lists(st.tuples(st.integers(0, 255), st.binary(max_size=50), st.integers(0, 2**64 - 1)), max_size=5)


@given(sent=MESSAGES, cuts=st.lists(st.integers(1, 40), min_size=1, max_size=20))
def test_a_stream_can_be_split_anywhere(sent, cuts):
    stream, splitter, received, place = b"".join(pack(*message) for message in sent), Splitter(50), [], 0
    while place < len(stream):
        step = cuts[place % len(cuts)]
        received += splitter.feed(stream[place:place + step])
        place += step
    assert [(m.kind, m.body, m.sequence) for m in received] == sent


@pytest.mark.parametrize("place, value", [(0, b"X"), (4, b"\x02"), (6, b"\x01")], ids=["magic", "version", "zero"])
def test_an_invalid_header_is_an_error(place, value):
    data = bytearray(pack(1, b"body"))
    data[place:place + 1] = value
    with pytest.raises(ProtocolError):
        Splitter(50).feed(bytes(data))


def test_a_body_that_is_too_long_is_an_error_before_it_is_received():
    Splitter(4).feed(pack(1, b"1234"))
    with pytest.raises(ProtocolError, match="at most 4"):
        Splitter(4).feed(pack(1, b"12345")[:HEADER.size])


@given(data=st.data())
@settings(max_examples=50)
def test_a_frame_is_unpacked_as_it_was_packed(data):
    index = np.array(sorted(data.draw(st.sets(st.integers(0, 999), max_size=30))), np.int32)
    small = data.draw(st.lists(st.integers(-128, 127), min_size=len(index), max_size=len(index)))
    message = np.array(small, np.int32) << protocol.MESSAGE_SHIFT
    body = protocol.pack_frame(index, message)
    assert len(body) == 4 + 5 * len(index)
    found_index, found_message = protocol.unpack_frame(body, 1000)
    np.testing.assert_array_equal(found_index, index)
    np.testing.assert_array_equal(found_message, small)


@pytest.mark.parametrize("message", [16 * 128, -16 * 129, 8, 17])
def test_a_value_that_is_not_an_encoder_message_is_not_sent(message):
    with pytest.raises(ValueError):
        protocol.pack_frame(np.array([0], np.int32), np.array([message], np.int32))


@pytest.mark.parametrize("index, size", [([5], 5), ([3, 2], 9), ([2, 2], 9)], ids=["outside", "descending", "twice"])
def test_a_frame_with_invalid_places_is_an_error(index, size):
    body = protocol.pack_frame(np.array(index, np.int32), np.full(len(index), 96, np.int32))
    with pytest.raises(ProtocolError):
        protocol.unpack_frame(body, size)


def header() -> NetworkHeader:
    rng = np.random.default_rng(0)
    layers = (
        LayerArrays("c1", rng.integers(-9, 9, (2, 3, 3, 3)).astype(np.int32), np.array([1, -2], np.int32), 2, 1, 6, 5,
                    1),
        LayerArrays("head", rng.integers(-9, 9, (4, 1, 1, 1)).astype(np.int32), None, 1, 0, 0, 7, 2),
    )
    return NetworkHeader((32, 64, 3), 6, layers, {"conv": "gemm"})


def test_a_network_is_unpacked_as_it_was_packed():
    sent, found = header(), protocol.unpack_open(protocol.pack_open(header()))
    assert (found.shape, found.encoder_threshold, found.settings) == (sent.shape, 6, {"conv": "gemm"})
    for before, after in zip(sent.layers, found.layers, strict=True):
        np.testing.assert_array_equal(after.weight, before.weight)
        assert (after.bias is None) == (before.bias is None)
        assert after.bias is None or (after.bias == before.bias).all()
        assert (after.name, after.stride, after.padding, after.threshold, after.exponent, after.groups) == (
            before.name, before.stride, before.padding, before.threshold, before.exponent, before.groups)


def test_a_result_is_unpacked_as_it_was_packed():
    head = np.arange(24, dtype=np.int32).reshape(2, 3, 4) - (2**31 - 1)
    found = protocol.unpack_result(protocol.pack_result(WorkerResult(head, (7,), (2**40, 3), 1.5)), (2, 3, 4), 2)
    np.testing.assert_array_equal(found.head, head)
    assert (found.layer_events, found.synops, found.step_ms) == ((7,), (2**40, 3), 1.5)
    with pytest.raises(ProtocolError):
        protocol.unpack_result(protocol.pack_result(WorkerResult(head, (7,), (1, 2), 1.5)), (3, 2, 4), 2)


@given(body=st.binary(max_size=200))
def test_an_invalid_body_raises_no_other_error(body):
    for read in (
        protocol.unpack_open, lambda b: protocol.unpack_frame(b, 100), protocol.unpack_flush, protocol.unpack_json,
        lambda b: protocol.unpack_result(b, (2, 3, 4), 2),
    ):
        with contextlib.suppress(ProtocolError):
            read(body)


@given(place=st.integers(0, 2**31), value=st.integers(0, 255))
def test_a_damaged_network_raises_no_other_error(place, value):
    body = bytearray(protocol.pack_open(header()))
    body[place % len(body)] = value
    with contextlib.suppress(ProtocolError):
        protocol.unpack_open(bytes(body))
