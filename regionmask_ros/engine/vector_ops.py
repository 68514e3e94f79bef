"""Vector instructions for the kernels, as LLVM IR that Numba puts in place of a call.

Two operations are written by hand because a compiler does not find them: the dot product over a list of graded spikes,
with all its accumulators in registers, and the firing of 16 neurons at a time with the new spikes packed behind each
other. Both work on vectors of 16 x int32 (AVX-512). The rest of the engine is plain Numba.
"""

from __future__ import annotations

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from .arithmetic import STATE_EXP

LANES = 16

_I1, _I8, _I16, _I32, _I64 = (ir.IntType(bits) for bits in (1, 8, 16, 32, 64))
_V = ir.VectorType(_I32, LANES)
_V_BITS = ir.VectorType(_I1, LANES)
_PAIRS = ir.VectorType(_I16, 2 * LANES)
_WORDS = ir.VectorType(_I32, LANES // 2)


def _pointer(context, builder, kind, array, index, element):
    """Address of an element of a flat array, as a pointer to ``element``."""
    data = context.make_array(kind)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [index]), element.as_pointer())


def _constant(vector, value):
    return ir.Constant(vector, [value] * vector.count)


def _splat(builder, value, vector):
    first = builder.insert_element(ir.Constant(vector, ir.Undefined), value, ir.Constant(_I32, 0))
    lanes = ir.Constant(ir.VectorType(_I32, vector.count), [0] * vector.count)
    return builder.shuffle_vector(first, ir.Constant(vector, ir.Undefined), lanes)


def _load(builder, address, vector, index, align):
    pointer = builder.bitcast(builder.gep(address, [ir.Constant(_I64, index)]), vector.as_pointer())
    value = builder.load(pointer)
    value.align = align
    return value


def _store(builder, value, address, index, align):
    pointer = builder.bitcast(builder.gep(address, [ir.Constant(_I64, index)]), value.type.as_pointer())
    builder.store(value, pointer).align = align


def _call(builder, name, result, arguments):
    kind = ir.FunctionType(result, [argument.type for argument in arguments])
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), arguments)


@intrinsic(prefer_literal=True)
def dot(typing_context, weight, first, tap_rows, taps, pixel, tap, count, slots, index, pair, total, vectors):
    """total[:16 * vectors] = sum over taps t and spikes j of pixel[t]: weight row . pair of messages.

    weight: int8 or int16, flat, rows of 16 * vectors outputs x 2 input channels. first: its first value.
    A tap's rows begin ``tap[t] * tap_rows`` rows later; index picks the row, pair holds the two messages as int16.
    pixel, tap: int32 [taps]. count: int32, spikes of each pixel; slots: how far its list lies from the next one's.
    """
    lanes = vectors.literal_value
    width = weight.dtype.bitwidth // 8
    signature = types.void(
        weight, types.intp, types.intp, types.intp, pixel, tap, count, types.intp, index, pair, total, vectors
    )

    def generate(context, builder, signature, arguments):
        kinds = signature.args
        weight_, first_, tap_rows_, taps_, pixel_, tap_, count_, slots_, index_, pair_, total_, _ = arguments
        zero, one = ir.Constant(_I64, 0), ir.Constant(_I64, 1)
        stored = ir.IntType(8 * width)
        rows = _pointer(context, builder, kinds[0], weight_, first_, stored)
        pixels = _pointer(context, builder, kinds[4], pixel_, zero, _I32)
        tap_numbers = _pointer(context, builder, kinds[5], tap_, zero, _I32)
        counts = _pointer(context, builder, kinds[6], count_, zero, _I32)
        indices = _pointer(context, builder, kinds[8], index_, zero, _I32)
        pairs = _pointer(context, builder, kinds[9], pair_, zero, _I32)
        totals = _pointer(context, builder, kinds[10], total_, zero, _I32)
        row_length = ir.Constant(_I64, 2 * LANES * lanes)

        before = builder.block
        tap_head, tap_body, spike_head, spike_body, tap_next, done = (
            builder.append_basic_block(name) for name in ("tap", "tap.in", "spike", "spike.in", "tap.next", "done")
        )
        builder.branch(tap_head)

        builder.position_at_end(tap_head)
        t = builder.phi(_I64)
        outer = [builder.phi(_V) for _ in range(lanes)]
        t.add_incoming(zero, before)
        for value in outer:
            value.add_incoming(_constant(_V, 0), before)
        builder.cbranch(builder.icmp_signed("<", t, taps_), tap_body, done)

        builder.position_at_end(tap_body)
        p = builder.sext(builder.load(builder.gep(pixels, [t])), _I64)
        n = builder.sext(builder.load(builder.gep(counts, [p])), _I64)
        spikes = builder.mul(p, slots_)
        skip = builder.mul(builder.sext(builder.load(builder.gep(tap_numbers, [t])), _I64), tap_rows_)
        tap_start = builder.gep(rows, [builder.mul(skip, row_length)])
        builder.branch(spike_head)

        builder.position_at_end(spike_head)
        j = builder.phi(_I64)
        inner = [builder.phi(_V) for _ in range(lanes)]
        j.add_incoming(zero, tap_body)
        for value, start in zip(inner, outer):
            value.add_incoming(start, tap_body)
        builder.cbranch(builder.icmp_signed("<", j, n), spike_body, tap_next)

        builder.position_at_end(spike_body)
        at = builder.add(spikes, j)
        row = builder.sext(builder.load(builder.gep(indices, [at])), _I64)
        row_start = builder.gep(tap_start, [builder.mul(row, row_length)])
        message = builder.bitcast(_splat(builder, builder.load(builder.gep(pairs, [at])), _V), _PAIRS)
        for lane, value in enumerate(inner):
            weights = _load(builder, row_start, ir.VectorType(stored, 2 * LANES), 2 * LANES * lane, width)
            if width == 1:
                weights = builder.sext(weights, _PAIRS)
            product = _call(builder, "llvm.x86.avx512.pmaddw.d.512", _V, [weights, message])
            value.add_incoming(builder.add(value, product), spike_body)
        j.add_incoming(builder.add(j, one), spike_body)
        builder.branch(spike_head)

        builder.position_at_end(tap_next)
        t.add_incoming(builder.add(t, one), tap_next)
        for value, result in zip(outer, inner):
            value.add_incoming(result, tap_next)
        builder.branch(tap_head)

        builder.position_at_end(done)
        for lane, value in enumerate(outer):
            _store(builder, value, totals, LANES * lane, 4)
        return context.get_dummy_value()

    return signature, generate


@intrinsic(prefer_literal=True)
def fire(typing_context, total, first_total, bias, first_channel, threshold, release, carry, sigma, reference, first, index,
         pair, slot, spikes, vectors):
    """16 * vectors neurons: sigma, bias, ReLU, delta, threshold; appends their spikes to the pixel's list.

    total: int32, consumed; on return it holds the messages. bias: int32, from first_channel on. sigma, reference: int32,
    from ``first`` on. release, carry: see ``arithmetic.Rule``. index, pair: the list, which begins at ``slot`` and has ``spikes`` entries.
    Returns the new number of entries, plus events << 16, plus 1 << 32 when a message does not fit 16 bits (the list
    then holds its nearest value that does).
    """
    lanes = vectors.literal_value
    signature = types.int64(
        total, types.intp, bias, types.intp, types.int32, types.int32, types.boolean, sigma, reference, types.intp, index, pair, types.intp,
        types.intp, vectors,
    )

    def generate(context, builder, signature, arguments):
        kinds = signature.args
        (total_, first_total_, bias_, channel_, threshold_, release_, carry_, sigma_, reference_, first_, index_, pair_, slot_,
         spikes_, _) = arguments
        zero, half, low24 = _constant(_V, 0), _constant(_V, 1 << 23), _constant(_V, (1 << 24) - 1)
        shift = _constant(_V, STATE_EXP)
        totals = _pointer(context, builder, kinds[0], total_, first_total_, _I32)
        biases = _pointer(context, builder, kinds[2], bias_, channel_, _I32)
        states = _pointer(context, builder, kinds[7], sigma_, first_, _I32)
        references = _pointer(context, builder, kinds[8], reference_, first_, _I32)
        indices = _pointer(context, builder, kinds[10], index_, slot_, _I32)
        pairs = _pointer(context, builder, kinds[11], pair_, slot_, _I32)
        limit, giving_up = _splat(builder, threshold_, _V), _splat(builder, release_, _V)
        carries = _splat(builder, carry_ if carry_.type == _I1 else builder.trunc(carry_, _I1), _V_BITS)
        first_pair = builder.trunc(builder.sdiv(channel_, ir.Constant(_I64, 2)), _I32)
        n, events, wide = spikes_, ir.Constant(_I64, 0), ir.Constant(_I16, 0)
        for lane in range(lanes):
            at = LANES * lane
            sums = builder.add(_load(builder, totals, _V, at, 4), half)
            sums = builder.sub(builder.and_(sums, low24), half)
            state = builder.add(_load(builder, states, _V, at, 4), sums)
            _store(builder, state, states, at, 4)
            active = builder.add(state, _load(builder, biases, _V, at, 4))
            active = builder.select(builder.icmp_signed(">", active, zero), active, zero)
            old = _load(builder, references, _V, at, 4)
            delta = builder.sub(active, old)
            minus = builder.sub(zero, delta)
            size = builder.select(builder.icmp_signed(">", delta, minus), delta, minus)
            silent = builder.and_(
                builder.icmp_signed("==", active, zero), builder.icmp_signed(">=", old, giving_up)
            )
            due = builder.or_(builder.icmp_signed(">=", size, limit), silent)
            fired = builder.select(due, delta, zero)
            told = builder.ashr(fired, shift)
            advance = builder.select(carries, builder.shl(told, shift), fired)
            _store(builder, builder.add(old, advance), references, at, 4)
            _store(builder, told, totals, at, 4)

            nonzero = builder.bitcast(builder.icmp_signed("!=", told, zero), _I16)
            events = builder.add(events, builder.zext(_call(builder, "llvm.ctpop.i16", _I16, [nonzero]), _I64))
            narrow = builder.trunc(told, ir.VectorType(_I16, LANES))
            fits = builder.icmp_signed("==", builder.sext(narrow, _V), told)
            wide = builder.or_(wide, builder.not_(builder.bitcast(fits, _I16)))
            top, bottom = _constant(_V, 32767), _constant(_V, -32768)
            nearest = builder.select(builder.icmp_signed(">", told, top), top, told)
            nearest = builder.select(builder.icmp_signed("<", nearest, bottom), bottom, nearest)
            words = builder.bitcast(builder.trunc(nearest, ir.VectorType(_I16, LANES)), _WORDS)
            present = builder.icmp_signed("!=", words, _constant(_WORDS, 0))
            numbers = builder.add(
                ir.Constant(_WORDS, list(range(at // 2, at // 2 + LANES // 2))), _splat(builder, first_pair, _WORDS)
            )
            for values, target in ((words, pairs), (numbers, indices)):
                packed = _call(builder, "llvm.x86.avx512.mask.compress.v8i32", _WORDS,
                               [values, _constant(_WORDS, 0), present])
                builder.store(packed, builder.bitcast(builder.gep(target, [n]), _WORDS.as_pointer())).align = 4
            bits = _call(builder, "llvm.ctpop.i8", _I8, [builder.bitcast(present, _I8)])
            n = builder.add(n, builder.zext(bits, _I64))
        beyond = builder.zext(builder.icmp_unsigned("!=", wide, ir.Constant(_I16, 0)), _I64)
        result = builder.or_(n, builder.shl(events, ir.Constant(_I64, 16)))
        return builder.or_(result, builder.shl(beyond, ir.Constant(_I64, 32)))

    return signature, generate


@intrinsic(prefer_literal=True)
def dot_dense(typing_context, weight, first, words, start, pitch, run, size, step, total, vectors, pixels):
    """total[p, :16 * vectors] = sum over a dense window of pixel p, for ``pixels`` neighbouring outputs at a time.

    Every weight is loaded once for all of them. weight: int8 or int16, from ``first`` on, rows in the window's order.
    words: int32, pairs of messages; the window of pixel 0 begins at ``start`` and has ``size`` runs of ``run`` words,
    ``pitch`` words apart. The next pixel's window begins ``step`` words later.
    """
    lanes, count = vectors.literal_value, pixels.literal_value
    width = weight.dtype.bitwidth // 8
    signature = types.void(weight, types.intp, words, *[types.intp] * 5, total, vectors, pixels)

    def generate(context, builder, signature, arguments):
        kinds = signature.args
        weight_, first_, words_, start_, pitch_, run_, size_, step_, total_, _, _ = arguments
        zero, one = ir.Constant(_I64, 0), ir.Constant(_I64, 1)
        stored = ir.IntType(8 * width)
        rows = _pointer(context, builder, kinds[0], weight_, first_, stored)
        window = _pointer(context, builder, kinds[2], words_, start_, _I32)
        totals = _pointer(context, builder, kinds[8], total_, zero, _I32)
        row_length = ir.Constant(_I64, 2 * LANES * lanes)
        shifts = [builder.mul(step_, ir.Constant(_I64, p)) for p in range(count)]

        before = builder.block
        line_head, line_body, word_head, word_body, line_next, done = (
            builder.append_basic_block(name) for name in ("line", "line.in", "word", "word.in", "line.next", "done")
        )
        builder.branch(line_head)

        builder.position_at_end(line_head)
        line = builder.phi(_I64)
        outer = [[builder.phi(_V) for _ in range(lanes)] for _ in range(count)]
        line.add_incoming(zero, before)
        for values in outer:
            for value in values:
                value.add_incoming(_constant(_V, 0), before)
        builder.cbranch(builder.icmp_signed("<", line, size_), line_body, done)

        builder.position_at_end(line_body)
        line_start = builder.gep(window, [builder.mul(line, pitch_)])
        row_start = builder.gep(rows, [builder.mul(builder.mul(line, run_), row_length)])
        builder.branch(word_head)

        builder.position_at_end(word_head)
        j = builder.phi(_I64)
        inner = [[builder.phi(_V) for _ in range(lanes)] for _ in range(count)]
        j.add_incoming(zero, line_body)
        for values, starts in zip(inner, outer):
            for value, begin in zip(values, starts):
                value.add_incoming(begin, line_body)
        builder.cbranch(builder.icmp_signed("<", j, run_), word_body, line_next)

        builder.position_at_end(word_body)
        row = builder.gep(row_start, [builder.mul(j, row_length)])
        weights = []
        for lane in range(lanes):
            loaded = _load(builder, row, ir.VectorType(stored, 2 * LANES), 2 * LANES * lane, width)
            weights.append(builder.sext(loaded, _PAIRS) if width == 1 else loaded)
        here = builder.gep(line_start, [j])
        for values, shift in zip(inner, shifts):
            word = builder.load(builder.gep(here, [shift]))
            message = builder.bitcast(_splat(builder, word, _V), _PAIRS)
            for value, factor in zip(values, weights):
                product = _call(builder, "llvm.x86.avx512.pmaddw.d.512", _V, [factor, message])
                value.add_incoming(builder.add(value, product), word_body)
        j.add_incoming(builder.add(j, one), word_body)
        builder.branch(word_head)

        builder.position_at_end(line_next)
        line.add_incoming(builder.add(line, one), line_next)
        for values, results in zip(outer, inner):
            for value, result in zip(values, results):
                value.add_incoming(result, line_next)
        builder.branch(line_head)

        builder.position_at_end(done)
        for p, values in enumerate(outer):
            for lane, value in enumerate(values):
                _store(builder, value, totals, LANES * (lanes * p + lane), 4)
        return context.get_dummy_value()

    return signature, generate
