"""Bricks for vector code: LLVM IR that Numba puts in place of a call.

Two operations of the engine are written this way because a compiler does not find them: dot products over graded
spikes with all sums in registers (``vector_dot``), and neurons that fire many at a time and pack their spikes behind
each other (``vector_fire``).

Sets of neighbouring pixels as bits of an integer: bit i is the pixel i places to the right.
"""

from __future__ import annotations

from dataclasses import dataclass

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

I1, I8, I16, I32, I64 = (ir.IntType(bits) for bits in (1, 8, 16, 32, 64))


@dataclass(frozen=True)
class Width:
    """Vectors of ``lanes`` x int32, and how processors multiply with them.

    channels: neighbouring inputs that are multiplied at a time; their messages, int16, are one word. top: the largest
    message that a word may hold. multiply_add: instruction for products of pairs of int16, each pair added up to an
    int32; None where bytes are multiplied (see ``vector_dot``). compress: moves the chosen words to the front; None
    where there is no such instruction.
    """

    lanes: int
    channels: int
    top: int
    multiply_add: str | None
    compress: str | None

    @property
    def vector(self) -> ir.VectorType:
        return ir.VectorType(I32, self.lanes)

    @property
    def word(self) -> ir.IntType:
        return ir.IntType(16 * self.channels)

    @property
    def words(self) -> ir.VectorType:
        """Messages of ``lanes`` channels."""
        return ir.VectorType(self.word, self.lanes // self.channels)

    @property
    def mask(self) -> ir.IntType:
        """One bit a lane."""
        return ir.IntType(self.lanes)


_PAIR_TOP = (1 << 15) - 1
_BYTES_TOP = 127 * 256 + 127
"""As two signed bytes, 256 * high + low."""

WIDTHS = {
    16: Width(16, 2, _PAIR_TOP, "llvm.x86.avx512.pmaddw.d.512", "llvm.x86.avx512.mask.compress.v8i32"),
    8: Width(8, 2, _PAIR_TOP, "llvm.x86.avx2.pmadd.wd", None),
    4: Width(4, 4, _BYTES_TOP, None, None),
}


def pointer(context, builder, kind, array, index, element):
    """Address of an element of a flat array, as a pointer to ``element``."""
    data = context.make_array(kind)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [index]), element.as_pointer())


def constant(vector, value):
    return ir.Constant(vector, [value] * vector.count)


def splat(builder, value, vector):
    """A vector with the value in every lane."""
    first = builder.insert_element(ir.Constant(vector, ir.Undefined), value, ir.Constant(I32, 0))
    lanes = ir.Constant(ir.VectorType(I32, vector.count), [0] * vector.count)
    return builder.shuffle_vector(first, ir.Constant(vector, ir.Undefined), lanes)


def shuffle(builder, first, second, order):
    """A vector of elements of two, chosen by their numbers in both behind each other."""
    kind = ir.VectorType(I32, len(order))
    return builder.shuffle_vector(first, second, ir.Constant(kind, list(order)))


def load(builder, address, vector, index, align):
    place = builder.bitcast(builder.gep(address, [ir.Constant(I64, index)]), vector.as_pointer())
    value = builder.load(place)
    value.align = align
    return value


def store(builder, value, address, index, align):
    place = builder.bitcast(builder.gep(address, [ir.Constant(I64, index)]), value.type.as_pointer())
    builder.store(value, place).align = align


def call(builder, name, result, arguments):
    """Calls an instruction of LLVM or of the processor by its name."""
    kind = ir.FunctionType(result, [argument.type for argument in arguments])
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), arguments)


def bits_set(builder, mask):
    """How many bits of an integer are 1, as int64."""
    count = call(builder, f"llvm.ctpop.i{mask.type.width}", mask.type, [mask])
    return builder.zext(count, I64)


def nested_sums(builder, start, times, enter, add):
    """Two nested loops that carry vector sums in registers; returns the sums.

    start: initial sums. times: turns of the outer loop. enter(t): emits the beginning of an outer turn, returns the
    turns of its inner loop and anything ``add`` needs. add(t_state, j, sums): emits an inner turn, returns new sums.
    """
    zero, one = ir.Constant(I64, 0), ir.Constant(I64, 1)
    before = builder.block
    outer_head, outer_body, inner_head, inner_body, outer_next, done = (
        builder.append_basic_block(name) for name in ("outer", "outer.in", "inner", "inner.in", "outer.next", "done")
    )
    builder.branch(outer_head)

    builder.position_at_end(outer_head)
    t, outer = builder.phi(I64), [builder.phi(value.type) for value in start]
    t.add_incoming(zero, before)
    for value, first in zip(outer, start):
        value.add_incoming(first, before)
    builder.cbranch(builder.icmp_signed("<", t, times), outer_body, done)

    builder.position_at_end(outer_body)
    inner_times, state = enter(t)
    builder.branch(inner_head)

    builder.position_at_end(inner_head)
    j, inner = builder.phi(I64), [builder.phi(value.type) for value in start]
    j.add_incoming(zero, outer_body)
    for value, first in zip(inner, outer):
        value.add_incoming(first, outer_body)
    builder.cbranch(builder.icmp_signed("<", j, inner_times), inner_body, outer_next)

    builder.position_at_end(inner_body)
    for value, result in zip(inner, add(state, j, inner)):
        value.add_incoming(result, inner_body)
    j.add_incoming(builder.add(j, one), inner_body)
    builder.branch(inner_head)

    builder.position_at_end(outer_next)
    t.add_incoming(builder.add(t, one), outer_next)
    for value, result in zip(outer, inner):
        value.add_incoming(result, outer_next)
    builder.branch(outer_head)

    builder.position_at_end(done)
    return outer


@intrinsic
def clear_16_bytes(typing_context, array, first):
    """Sets 16 bytes of a flat array of bytes to 0, from that one on. A slice would call the C library for it."""

    def generate(context, builder, signature, arguments):
        zeros = constant(ir.VectorType(I8, 16), 0)
        store(builder, zeros, pointer(context, builder, signature.args[0], *arguments, I8), 0, 1)
        return context.get_dummy_value()

    return types.void(array, types.intp), generate


@intrinsic
def prefetch(typing_context, array, first):
    """Asks for the cache line that holds that element of a flat array, for it to be changed soon."""

    def generate(context, builder, signature, arguments):
        kind = signature.args[0]
        write, most_local, data = (ir.Constant(I32, value) for value in (1, 3, 1))
        element = context.make_array(kind)(context, builder, arguments[0]).data
        address = builder.bitcast(builder.gep(element, [arguments[1]]), I8.as_pointer())
        call(builder, "llvm.prefetch", ir.VoidType(), [address, write, most_local, data])
        return context.get_dummy_value()

    return types.void(array, types.intp), generate


@intrinsic
def lowest(typing_context, bits):
    """Place of the lowest bit that is set; bits (uint64) must not be 0."""

    def generate(context, builder, signature, arguments):
        return call(builder, "llvm.cttz.i64", I64, [arguments[0], ir.Constant(I1, 1)])

    return types.int64(types.uint64), generate


@intrinsic
def count(typing_context, bits):
    """How many bits of a uint64 are set."""

    def generate(context, builder, signature, arguments):
        return bits_set(builder, arguments[0])

    return types.int64(types.uint64), generate


@intrinsic
def window(typing_context, words, first):
    """uint64: the bits of four words of 16 (uint16, flat), from that one on."""

    def generate(context, builder, signature, arguments):
        address = pointer(context, builder, signature.args[0], *arguments, I16)
        loaded = builder.load(builder.bitcast(address, I64.as_pointer()))
        loaded.align = 2
        return loaded

    return types.uint64(words, types.intp), generate


@intrinsic
def pick(typing_context, bits, mask):
    """The bits at the places that are set in ``mask``, moved together (BMI2's pext). uint64."""

    def generate(context, builder, signature, arguments):
        return call(builder, "llvm.x86.bmi.pext.64", I64, list(arguments))

    return types.uint64(types.uint64, types.uint64), generate
