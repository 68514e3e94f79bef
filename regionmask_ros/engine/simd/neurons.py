"""Neurons that fire many at a time: the part of the twin's ``step`` behind the sums, for one output pixel."""

from __future__ import annotations

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from ...core.arithmetic import ACCUMULATOR_BITS, STATE_EXP
from ...jit.simd import I16, I32, I64, WIDTHS, bits_set, call, constant, load, pointer, splat, store

_BOTTOM = -(1 << 15)
_WRAP_SHIFT = 32 - ACCUMULATOR_BITS


class Neurons:
    """Emits the neurons of one vector of channels after the other; the names are the twin's."""

    def __init__(self, builder, width, threshold, release, carry: int, snap: int) -> None:
        self.builder, self.width, self.carry, self.snap = builder, width, carry, snap
        self.zero, self.shift = constant(width.vector, 0), constant(width.vector, STATE_EXP)
        self.threshold = splat(builder, threshold, width.vector)
        self.release = splat(builder, release, width.vector)

    def wrap(self, total):
        """Two's complement wrap to the accumulator's width: a shift to the top and back."""
        amount = constant(self.width.vector, _WRAP_SHIFT)
        return self.builder.ashr(self.builder.shl(total, amount), amount)

    def active(self, state, bias):
        """Activations: ReLU of sigma and bias."""
        value = self.builder.add(state, bias)
        return self.builder.select(self.builder.icmp_signed(">", value, self.zero), value, self.zero)

    def fires(self, active, delta, reference):
        """(whether each neuron sends, size of its difference)."""
        b = self.builder
        minus = b.sub(self.zero, delta)
        size = b.select(b.icmp_signed(">", delta, minus), delta, minus)
        fires = b.icmp_signed(">=", size, self.threshold)
        if self.snap:
            silent = b.icmp_signed("==", active, self.zero)
            fires = b.or_(fires, b.and_(silent, b.icmp_signed(">=", reference, self.release)))
        return fires, size

    def sent(self, fires, delta):
        """Messages; 0 where nothing is due."""
        return self.builder.select(fires, self.builder.ashr(delta, self.shift), self.zero)

    def acknowledged(self, delta):
        """By how much the reference of a neuron that sends advances."""
        return self.builder.and_(delta, constant(self.width.vector, -(1 << STATE_EXP))) if self.carry else delta

    def residual(self, delta):
        """What a neuron that sends keeps of its difference."""
        return self.builder.and_(delta, constant(self.width.vector, (1 << STATE_EXP) - 1)) if self.carry else self.zero

    def any_overflow(self, sizes):
        """Whether one of the differences might be a message that a word cannot hold."""
        b, largest = self.builder, sizes[0]
        for size in sizes[1:]:
            largest = b.select(b.icmp_unsigned(">", size, largest), size, largest)
        limit = constant(self.width.vector, (self.width.top + 1 << STATE_EXP) - 1)
        beyond = b.bitcast(b.icmp_unsigned(">", largest, limit), self.width.mask)
        return b.icmp_unsigned("!=", beyond, ir.Constant(self.width.mask, 0))

    def cut(self, sent):
        """int16: the nearest values that a word may hold."""
        b = self.builder
        top, bottom = (constant(self.width.vector, value) for value in (self.width.top, _BOTTOM))
        nearest = b.select(b.icmp_signed("<", sent, top), sent, top)
        nearest = b.select(b.icmp_signed(">", nearest, bottom), nearest, bottom)
        return b.trunc(nearest, ir.VectorType(I16, self.width.lanes))

    def present(self, words):
        """How many words are not 0."""
        there = self.builder.icmp_signed("!=", words, constant(words.type, 0))
        return bits_set(self.builder, self.builder.bitcast(there, ir.IntType(words.type.count)))

    def append(self, words, first_pair, indices, pairs, n):
        """Writes the words that are not 0, and their numbers, from entry n on; returns the new number of entries."""
        b, kind = self.builder, self.width.words
        present = b.icmp_signed("!=", words, constant(kind, 0))
        numbers = ir.VectorType(I32, kind.count)
        numbers = b.add(ir.Constant(numbers, list(range(kind.count))), splat(b, first_pair, numbers))
        if self.width.compress:
            for values, target in ((words, pairs), (numbers, indices)):
                packed = call(b, self.width.compress, kind, [values, constant(kind, 0), present])
                store(b, packed, b.gep(target, [n]), 0, 4)
            return b.add(n, bits_set(b, b.bitcast(present, ir.IntType(kind.count))))
        # One after the other; a word that is 0 is overwritten by the next one.
        for lane in range(kind.count):
            at = ir.Constant(I32, lane)
            for values, target in ((words, pairs), (numbers, indices)):
                b.store(b.extract_element(values, at), b.gep(target, [n]))
            n = b.add(n, b.zext(b.extract_element(present, at), I64))
        return n


@intrinsic(prefer_literal=True)
def clear_words(typing_context, word, first, lanes):
    """The words of a vector of channels, from ``first`` on, become 0."""
    width = WIDTHS[lanes.literal_value]

    def generate(context, builder, signature, arguments):
        address = pointer(context, builder, signature.args[0], arguments[0], arguments[1], width.word)
        store(builder, constant(width.words, 0), address, 0, 4)
        return context.get_dummy_value()

    return types.void(word, types.intp, lanes), generate


@intrinsic(prefer_literal=True)
def fire(typing_context, total, first_total, bias, first_channel, threshold, release, sigma, reference, first,
         index, pair, word, slot, spikes, listed, vectors, lanes, carry, snap):
    """lanes * vectors neurons: sigma, bias, ReLU, delta, threshold; appends their spikes to the pixel's list.

    total: int32, from first_total on, consumed; on return it holds the messages. bias: int32, from first_channel on.
    sigma, reference: int32, from ``first`` on. release, carry, snap: see ``arithmetic.Rule``. index, pair: the list,
    which begins at ``slot`` and has ``spikes`` entries. Unless listed, they are only counted, and all pairs go to
    ``word``, each in its place behind ``slot``. carry, snap, vectors, lanes: literals. Returns the new number
    of entries, plus events << 16, plus 1 << 32 when a message may not fit 16 bits (the list then holds its nearest
    value that does).
    """
    width, columns = WIDTHS[lanes.literal_value], vectors.literal_value
    signature = types.int64(
        total, types.intp, bias, types.intp, types.int32, types.int32, sigma, reference, types.intp,
        index, pair, word, types.intp, types.intp, types.boolean, vectors, lanes, carry, snap,
    )

    def generate(context, builder, signature, arguments):
        first_total_, channel_, first_, slot_, n, listed_ = (arguments[at] for at in (1, 3, 8, 12, 13, 14))
        starts = {0: first_total_, 2: channel_, 6: first_, 7: first_, 9: slot_, 10: slot_, 11: slot_}
        totals, biases, states, references, indices, pairs, places = (
            pointer(context, builder, signature.args[at], arguments[at], start, width.word if at >= 10 else I32)
            for at, start in starts.items()
        )
        first_word = builder.sdiv(channel_, ir.Constant(I64, width.channels))
        places = builder.gep(places, [first_word])
        neurons = Neurons(builder, width, *arguments[4:6], carry.literal_value, snap.literal_value)
        first_pair = builder.trunc(first_word, I32)
        events, sizes = ir.Constant(I64, 0), []
        for at in range(0, columns * width.lanes, width.lanes):
            def read(array, at=at):
                return load(builder, array, width.vector, at, 4)

            state = builder.add(read(states), neurons.wrap(read(totals)))
            active, reference = neurons.active(state, read(biases)), read(references)
            delta = builder.sub(active, reference)
            fires, size = neurons.fires(active, delta, reference)
            sent = neurons.sent(fires, delta)
            new_reference = builder.select(fires, builder.add(reference, neurons.acknowledged(delta)), reference)
            for value, array in ((state, states), (new_reference, references), (sent, totals)):
                store(builder, value, array, at, 4)
            fired = builder.bitcast(builder.icmp_signed("!=", sent, neurons.zero), width.mask)
            events = builder.add(events, bits_set(builder, fired))
            sizes.append(size)
            words = builder.bitcast(neurons.cut(sent), width.words)
            place = ir.Constant(I32, at // width.channels)
            with builder.if_else(listed_) as (to_list, to_map):
                with to_list:
                    appended = neurons.append(words, builder.add(first_pair, place), indices, pairs, n)
                    after_list = builder.block
                with to_map:
                    store(builder, words, places, at // width.channels, 4)
                    counted = builder.add(n, neurons.present(words))
                    after_map = builder.block
            n = builder.phi(I64)
            n.add_incoming(appended, after_list)
            n.add_incoming(counted, after_map)
        wide = builder.zext(neurons.any_overflow(sizes), I64)
        result = builder.or_(n, builder.shl(events, ir.Constant(I64, 16)))
        return builder.or_(result, builder.shl(wide, ir.Constant(I64, 32)))

    return signature, generate
