"""Neurons that fire as vectors: ``reference.ReferenceLayer.step`` after the sums, for the channels of one output pixel.

Source of the rules: Lava's ``SigmaDelta``, see ``core.arithmetic``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from ...core.arithmetic import ACCUMULATOR_BITS
from ...jit.simd import (
    I16,
    I32,
    I64,
    WIDTHS,
    Intrinsic,
    Width,
    address,
    bits_set,
    call,
    constant,
    load,
    pointer,
    splat,
    store,
    unpack,
)
from .packing import NeuronState, Target

_BOTTOM = -(1 << 15)
_WRAP_SHIFT = 32 - ACCUMULATOR_BITS


class Neurons:
    """Emits the neurons of one vector of channels after another.

    Args:
        builder: Where to emit the instructions.
        width: The processor's vectors.
        threshold: Smallest change that fires, at 2**(10 + exponent); an integer value of any size.
        release: Reference from which an inactive neuron fires, at 2**(10 + exponent), see ``core.arithmetic.Rule``.
        exponent: A message is a change shifted right by it; an integer value of any size.
        carry: 1 when references advance by what arrives, else 0.
        snap: 1 when inactive neurons send what is left of their reference, else 0.
    """

    def __init__(self, builder: ir.IRBuilder, width: Width, threshold: Any, release: Any, exponent: Any, carry: int,
                 snap: int) -> None:
        self.builder, self.width, self.carry, self.snap = builder, width, carry, snap
        self.zero, shift = constant(width.vector, 0), builder.trunc(exponent, I32)
        self.shift = splat(builder, shift, width.vector)
        # What of a change a message does not carry, and the largest change whose message fits a word.
        self.low_bits = splat(builder, _below_shifted(builder, 1, shift), width.vector)
        self.fitting = splat(builder, _below_shifted(builder, width.top + 1, shift), width.vector)
        self.threshold = splat(builder, builder.trunc(threshold, I32), width.vector)
        self.release = splat(builder, builder.trunc(release, I32), width.vector)

    def wrap(self, total: Any) -> Any:
        """Emits sums wrapped to the accumulator's 24 bits: a shift to the top and back."""
        amount = constant(self.width.vector, _WRAP_SHIFT)
        return self.builder.ashr(self.builder.shl(total, amount), amount)

    def active(self, sigma: Any, bias: Any) -> Any:
        """Emits activations: ``max(sigma + bias, 0)``."""
        value = self.builder.add(sigma, bias)
        return self.builder.select(self.builder.icmp_signed(">", value, self.zero), value, self.zero)

    def fires(self, active: Any, delta: Any, reference: Any) -> tuple[Any, Any]:
        """Emits (whether each neuron fires, magnitude of its delta)."""
        b = self.builder
        minus = b.sub(self.zero, delta)
        size = b.select(b.icmp_signed(">", delta, minus), delta, minus)
        fires = b.icmp_signed(">=", size, self.threshold)
        if self.snap:
            inactive = b.icmp_signed("==", active, self.zero)
            fires = b.or_(fires, b.and_(inactive, b.icmp_signed(">=", reference, self.release)))
        return fires, size

    def sent(self, fires: Any, delta: Any) -> Any:
        """Emits messages, ``delta >> exponent``; 0 where a neuron does not fire."""
        return self.builder.select(fires, self.builder.ashr(delta, self.shift), self.zero)

    def acknowledged(self, delta: Any) -> Any:
        """Emits by how much the reference of a neuron that fires advances."""
        return self.builder.and_(delta, self.builder.not_(self.low_bits)) if self.carry else delta

    def residual(self, delta: Any) -> Any:
        """Emits activation minus reference of a neuron that has fired."""
        return self.builder.and_(delta, self.low_bits) if self.carry else self.zero

    def any_overflow(self, sizes: Sequence[Any]) -> Any:
        """Emits whether a delta of one of these magnitudes may be a message that a word cannot hold."""
        b, largest = self.builder, sizes[0]
        for size in sizes[1:]:
            largest = b.select(b.icmp_unsigned(">", size, largest), size, largest)
        beyond = b.bitcast(b.icmp_unsigned(">", largest, self.fitting), self.width.mask)
        return b.icmp_unsigned("!=", beyond, ir.Constant(self.width.mask, 0))

    def clip(self, sent: Any) -> Any:
        """Emits the nearest values that a word can hold, int16."""
        b = self.builder
        top, bottom = (constant(self.width.vector, value) for value in (self.width.top, _BOTTOM))
        nearest = b.select(b.icmp_signed("<", sent, top), sent, top)
        nearest = b.select(b.icmp_signed(">", nearest, bottom), nearest, bottom)
        return b.trunc(nearest, ir.VectorType(I16, self.width.lanes))

    def count_words(self, words: Any) -> Any:
        """Emits the number of words that are not 0."""
        nonzero = self.builder.icmp_signed("!=", words, constant(words.type, 0))
        return bits_set(self.builder, self.builder.bitcast(nonzero, ir.IntType(words.type.count)))

    def append(self, words: Any, first_word: Any, indices: Any, pairs: Any, n: Any) -> Any:
        """Emits the words that are not 0, with their numbers, to a list from entry n on; returns its new length."""
        b, kind = self.builder, self.width.words
        nonzero = b.icmp_signed("!=", words, constant(kind, 0))
        numbers = ir.VectorType(I32, kind.count)
        numbers = b.add(ir.Constant(numbers, list(range(kind.count))), splat(b, first_word, numbers))
        if self.width.compress:
            for values, target in ((words, pairs), (numbers, indices)):
                packed = call(b, self.width.compress, kind, [values, constant(kind, 0), nonzero])
                store(b, packed, b.gep(target, [n]), 0, 4)
            return b.add(n, bits_set(b, b.bitcast(nonzero, ir.IntType(kind.count))))
        # One after another; the next word overwrites one that is 0.
        for lane in range(kind.count):
            at = ir.Constant(I32, lane)
            for values, target in ((words, pairs), (numbers, indices)):
                b.store(b.extract_element(values, at), b.gep(target, [n]))
            n = b.add(n, b.zext(b.extract_element(nonzero, at), I64))
        return n


def _below_shifted(builder: ir.IRBuilder, value: int, shift: Any) -> Any:
    """Emits ``(value << shift) - 1``, int32."""
    return builder.sub(builder.shl(ir.Constant(I32, value), shift), ir.Constant(I32, 1))


@intrinsic(prefer_literal=True)
def clear_words(typing_context: Any, word: Any, first: Any, lanes: Any) -> Intrinsic:
    """Sets the words of a vector of channels to 0, from ``first`` on."""
    width = WIDTHS[lanes.literal_value]

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        address = pointer(context, builder, signature.args[0], arguments[0], arguments[1], width.word)
        store(builder, constant(width.words, 0), address, 0, 4)
        return context.get_dummy_value()

    return types.void(word, types.intp, lanes), generate


@intrinsic(prefer_literal=True)
def fire(typing_context: Any, total: Any, neurons: Any, target: Any, at: Any, entries: Any, vectors: Any, lanes: Any,
         carry: Any, snap: Any) -> Intrinsic:
    """Updates ``lanes * vectors`` neurons of one pixel and appends their events to its list, or writes them to a map.

    ``sigma += wrapped(total)``, ``delta = max(sigma + bias, 0) - reference``; a neuron fires when
    ``|delta| >= threshold`` and sends ``delta >> exponent``.

    Args:
        typing_context: Numba's.
        total: int32, the sums; afterwards the messages.
        neurons: ``packing.NeuronState``.
        target: ``packing.Target``. When it takes lists, events are appended; otherwise they are only counted, and
            all words are written to the map.
        at: (total, channel, neuron, slot): the first index of the neurons in ``total``, ``bias``, ``sigma`` and the
            lists; the pixel's list begins at ``slot``.
        entries: Length of the pixel's list.
        vectors: Literal.
        lanes: Literal.
        carry: Literal, see ``Neurons``.
        snap: Literal, see ``Neurons``.

    Returns:
        int64: the new length of the list, plus events << 16, plus 1 << 32 when a message may not fit 16 bits (the list
        then holds the nearest value that does).
    """
    width, columns = WIDTHS[lanes.literal_value], vectors.literal_value
    signature = types.int64(total, neurons, target, at, types.intp, vectors, lanes, carry, snap)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        state = NeuronState._make(unpack(builder, signature.args[1], arguments[1]))
        target_ = Target._make(unpack(builder, signature.args[2], arguments[2]))
        first_total, channel, neuron, slot = (value for _, value in unpack(builder, signature.args[3], arguments[3]))
        totals = pointer(context, builder, signature.args[0], arguments[0], first_total, I32)
        biases = address(context, builder, state.bias, channel, I32)
        sigmas = address(context, builder, state.sigma, neuron, I32)
        references = address(context, builder, state.reference, neuron, I32)
        indices = address(context, builder, target_.index, slot, I32)
        pairs = address(context, builder, target_.pair, slot, width.word)
        slots = address(context, builder, target_.word, slot, width.word)
        first_word = builder.sdiv(channel, ir.Constant(I64, width.channels))
        slots, first_word = builder.gep(slots, [first_word]), builder.trunc(first_word, I32)
        emitter = Neurons(builder, width, state.threshold[1], state.release[1], state.exponent[1],
                          carry.literal_value, snap.literal_value)
        n, events, sizes = arguments[4], ir.Constant(I64, 0), []
        for offset in range(0, columns * width.lanes, width.lanes):
            def read(array: Any, offset: int = offset) -> Any:
                return load(builder, array, width.vector, offset, 4)

            new_sigma = builder.add(read(sigmas), emitter.wrap(read(totals)))
            active, old_reference = emitter.active(new_sigma, read(biases)), read(references)
            delta = builder.sub(active, old_reference)
            fires, size = emitter.fires(active, delta, old_reference)
            sent = emitter.sent(fires, delta)
            new_reference = builder.select(
                fires, builder.add(old_reference, emitter.acknowledged(delta)), old_reference)
            for value, array in ((new_sigma, sigmas), (new_reference, references), (sent, totals)):
                store(builder, value, array, offset, 4)
            fired = builder.bitcast(builder.icmp_signed("!=", sent, emitter.zero), width.mask)
            events = builder.add(events, bits_set(builder, fired))
            sizes.append(size)
            words = builder.bitcast(emitter.clip(sent), width.words)
            word_offset = ir.Constant(I32, offset // width.channels)
            with builder.if_else(target_.is_list[1]) as (to_list, to_map):
                with to_list:
                    appended = emitter.append(words, builder.add(first_word, word_offset), indices, pairs, n)
                    after_list = builder.block
                with to_map:
                    store(builder, words, slots, offset // width.channels, 4)
                    counted = builder.add(n, emitter.count_words(words))
                    after_map = builder.block
            n = builder.phi(I64)
            n.add_incoming(appended, after_list)
            n.add_incoming(counted, after_map)
        overflow = builder.zext(emitter.any_overflow(sizes), I64)
        result = builder.or_(n, builder.shl(events, ir.Constant(I64, 16)))
        return builder.or_(result, builder.shl(overflow, ir.Constant(I64, 32)))

    return signature, generate
