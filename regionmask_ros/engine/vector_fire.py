"""Neurons that fire many at a time: the part of the twin's ``step`` behind the sums, for one output pixel."""

from __future__ import annotations

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from .arithmetic import ACCUMULATOR_BITS, STATE_EXP
from .vector_ir import I1, I16, I32, I64, WIDTHS, bits_set, call, constant, load, pointer, splat, store


class _Neurons:
    """Emits the neurons of one vector of channels after the other; the names are the twin's."""

    def __init__(self, builder, width, threshold, release, carry) -> None:
        self.builder, self.width = builder, width
        self.zero, self.shift = constant(width.vector, 0), constant(width.vector, STATE_EXP)
        self.threshold, self.release = (splat(builder, value, width.vector) for value in (threshold, release))
        flag = carry if carry.type == I1 else builder.trunc(carry, I1)
        self.carry = splat(builder, flag, ir.VectorType(I1, width.lanes))

    def wrap(self, total):
        """Two's complement wrap to the accumulator's width."""
        b, half = self.builder, constant(self.width.vector, 1 << (ACCUMULATOR_BITS - 1))
        low = constant(self.width.vector, (1 << ACCUMULATOR_BITS) - 1)
        return b.sub(b.and_(b.add(total, half), low), half)

    def tell(self, state, bias, reference):
        """(told, new reference) of neurons whose sigma is ``state``."""
        b = self.builder
        active = b.add(state, bias)
        active = b.select(b.icmp_signed(">", active, self.zero), active, self.zero)
        delta = b.sub(active, reference)
        minus = b.sub(self.zero, delta)
        size = b.select(b.icmp_signed(">", delta, minus), delta, minus)
        silent = b.and_(b.icmp_signed("==", active, self.zero), b.icmp_signed(">=", reference, self.release))
        due = b.or_(b.icmp_signed(">=", size, self.threshold), silent)
        sent = b.select(due, delta, self.zero)
        told = b.ashr(sent, self.shift)
        return told, b.add(reference, b.select(self.carry, b.shl(told, self.shift), sent))

    def narrow(self, told):
        """(words of two int16 messages each, mask of those that did not fit and were cut)."""
        b, half = self.builder, ir.VectorType(I16, self.width.lanes)
        top, bottom = constant(self.width.vector, 32767), constant(self.width.vector, -32768)
        fits = b.icmp_signed("==", b.sext(b.trunc(told, half), self.width.vector), told)
        nearest = b.select(b.icmp_signed(">", told, top), top, told)
        nearest = b.select(b.icmp_signed("<", nearest, bottom), bottom, nearest)
        return b.bitcast(b.trunc(nearest, half), self.width.words), b.not_(b.bitcast(fits, self.width.mask))

    def append(self, words, first_pair, indices, pairs, n):
        """Writes the words that are not 0, and their numbers, from entry n on; returns the new number of entries."""
        b, kind = self.builder, self.width.words
        present = b.icmp_signed("!=", words, constant(kind, 0))
        numbers = b.add(ir.Constant(kind, list(range(kind.count))), splat(b, first_pair, kind))
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
def fire(typing_context, total, first_total, bias, first_channel, threshold, release, carry, sigma, reference, first,
         index, pair, slot, spikes, vectors, lanes):
    """lanes * vectors neurons: sigma, bias, ReLU, delta, threshold; appends their spikes to the pixel's list.

    total: int32, from first_total on, consumed; on return it holds the messages. bias: int32, from first_channel on.
    sigma, reference: int32, from ``first`` on. release, carry: see ``arithmetic.Rule``. index, pair: the list, which
    begins at ``slot`` and has ``spikes`` entries.
    Returns the new number of entries, plus events << 16, plus 1 << 32 when a message does not fit 16 bits (the list
    then holds its nearest value that does).
    """
    width, columns = WIDTHS[lanes.literal_value], vectors.literal_value
    signature = types.int64(
        total, types.intp, bias, types.intp, types.int32, types.int32, types.boolean, sigma, reference, types.intp,
        index, pair, types.intp, types.intp, vectors, lanes,
    )

    def generate(context, builder, signature, arguments):
        first_total_, channel_, first_, slot_, n = (arguments[at] for at in (1, 3, 9, 12, 13))
        totals, biases, states, references, indices, pairs = (
            pointer(context, builder, signature.args[at], arguments[at], start, I32)
            for at, start in ((0, first_total_), (2, channel_), (7, first_), (8, first_), (10, slot_), (11, slot_))
        )
        neurons = _Neurons(builder, width, *arguments[4:7])
        first_pair = builder.trunc(builder.sdiv(channel_, ir.Constant(I64, 2)), I32)
        events, wide = ir.Constant(I64, 0), ir.Constant(width.mask, 0)
        for at in range(0, columns * width.lanes, width.lanes):
            def read(array, at=at):
                return load(builder, array, width.vector, at, 4)

            state = builder.add(read(states), neurons.wrap(read(totals)))
            told, new_reference = neurons.tell(state, read(biases), read(references))
            for value, array in ((state, states), (new_reference, references), (told, totals)):
                store(builder, value, array, at, 4)
            fired = builder.bitcast(builder.icmp_signed("!=", told, neurons.zero), width.mask)
            events = builder.add(events, bits_set(builder, fired))
            words, cut = neurons.narrow(told)
            wide = builder.or_(wide, cut)
            pair_number = builder.add(first_pair, ir.Constant(I32, at // 2))
            n = neurons.append(words, pair_number, indices, pairs, n)
        beyond = builder.zext(builder.icmp_unsigned("!=", wide, ir.Constant(width.mask, 0)), I64)
        result = builder.or_(n, builder.shl(events, ir.Constant(I64, 16)))
        return builder.or_(result, builder.shl(beyond, ir.Constant(I64, 32)))

    return signature, generate
