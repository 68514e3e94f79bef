"""Building blocks for vector code: functions that emit LLVM IR, and small intrinsics that replace calls.

Three operations are written this way because the compiler does not find them from loops: dot products with all sums in
registers (``engine.simd.dot``), neurons that fire as vectors and store their events compactly (``engine.simd.neurons``)
and products of matrix tiles (``engine.amx.neurons``).

Sets of neighboring pixels are bits of an integer: bit i is the pixel i places to the right.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

I1, I8, I16, I32, I64 = (ir.IntType(bits) for bits in (1, 8, 16, 32, 64))

Intrinsic: TypeAlias = tuple[Any, Callable[..., Any]]
"""What a Numba intrinsic returns: its signature, and the function that emits its instructions."""


@dataclass(frozen=True)
class Width:
    """Vectors of a family of processors, and how these multiply them.

    Attributes:
        lanes: int32 values in a vector.
        channels: Neighboring input channels that one product takes; their messages, int16, form one word.
        top: Largest message that a word can hold.
        multiply_add: LLVM's name of the instruction that multiplies pairs of int16 and adds each pair of products to an
            int32; None where bytes are multiplied (see ``engine.simd.dot``).
        compress: LLVM's name of the instruction that moves selected words to the front; None where there is none.
    """

    lanes: int
    channels: int
    top: int
    multiply_add: str | None
    compress: str | None

    @property
    def vector(self) -> ir.VectorType:
        """LLVM's type of a vector of int32."""
        return ir.VectorType(I32, self.lanes)

    @property
    def word(self) -> ir.IntType:
        """LLVM's type of the messages of ``channels`` neighboring channels."""
        return ir.IntType(16 * self.channels)

    @property
    def words(self) -> ir.VectorType:
        """LLVM's type of the messages of ``lanes`` channels."""
        return ir.VectorType(self.word, self.lanes // self.channels)

    @property
    def mask(self) -> ir.IntType:
        """LLVM's type of one bit for each lane."""
        return ir.IntType(self.lanes)


_PAIR_TOP = (1 << 15) - 1
_BYTES_TOP = 127 * 256 + 127
"""Largest value of two signed bytes, ``256 * high + low``."""

WIDTHS = {
    16: Width(16, 2, _PAIR_TOP, "llvm.x86.avx512.pmaddw.d.512", "llvm.x86.avx512.mask.compress.v8i32"),
    8: Width(8, 2, _PAIR_TOP, "llvm.x86.avx2.pmadd.wd", None),
    4: Width(4, 4, _BYTES_TOP, None, None),
}


def unpack(builder: ir.IRBuilder, kind: Any, value: Any) -> list[tuple[Any, Any]]:
    """Takes a tuple argument of an intrinsic apart.

    Args:
        builder: Where to emit the instructions.
        kind: Numba's type of the tuple.
        value: LLVM value of the tuple.

    Returns:
        (type, value) of each element.
    """
    return [(element, builder.extract_value(value, at)) for at, element in enumerate(kind.types)]


def pointer(context: Any, builder: ir.IRBuilder, kind: Any, array: Any, index: Any, element: ir.Type) -> Any:
    """Emits the address of an element of a flat array, as a pointer to ``element``."""
    data = context.make_array(kind)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [index]), element.as_pointer())


def address(context: Any, builder: ir.IRBuilder, operand: tuple[Any, Any], index: Any, element: ir.Type) -> Any:
    """Emits the same as ``pointer``, for an array of ``unpack``."""
    kind, array = operand
    return pointer(context, builder, kind, array, index, element)


def constant(vector: ir.VectorType, value: int) -> ir.Constant:
    """Returns a vector constant with the value in every lane."""
    return ir.Constant(vector, [value] * vector.count)


def splat(builder: ir.IRBuilder, value: Any, vector: ir.VectorType) -> Any:
    """Emits a vector with the value in every lane."""
    first = builder.insert_element(ir.Constant(vector, ir.Undefined), value, ir.Constant(I32, 0))
    lanes = ir.Constant(ir.VectorType(I32, vector.count), [0] * vector.count)
    return builder.shuffle_vector(first, ir.Constant(vector, ir.Undefined), lanes)


def shuffle(builder: ir.IRBuilder, first: Any, second: Any, order: Sequence[int]) -> Any:
    """Emits a vector of elements of two vectors, selected by their index in the concatenation of both."""
    kind = ir.VectorType(I32, len(order))
    return builder.shuffle_vector(first, second, ir.Constant(kind, list(order)))


def load(builder: ir.IRBuilder, address: Any, vector: ir.Type, index: int, align: int) -> Any:
    """Emits a load of a vector, ``index`` elements behind ``address``, aligned to ``align`` bytes."""
    place = builder.bitcast(builder.gep(address, [ir.Constant(I64, index)]), vector.as_pointer())
    value = builder.load(place)
    value.align = align
    return value


def store(builder: ir.IRBuilder, value: Any, address: Any, index: int, align: int) -> None:
    """Emits a store of a vector, ``index`` elements behind ``address``, aligned to ``align`` bytes."""
    place = builder.bitcast(builder.gep(address, [ir.Constant(I64, index)]), value.type.as_pointer())
    builder.store(value, place).align = align


def call(builder: ir.IRBuilder, name: str, result: ir.Type, arguments: Sequence[Any]) -> Any:
    """Emits an instruction of LLVM or of the processor by its name."""
    kind = ir.FunctionType(result, [argument.type for argument in arguments])
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), arguments)


def bits_set(builder: ir.IRBuilder, mask: Any) -> Any:
    """Emits the number of bits of an integer that are 1, as int64."""
    number = call(builder, f"llvm.ctpop.i{mask.type.width}", mask.type, [mask])
    return builder.zext(number, I64)


def nested_sums(builder: ir.IRBuilder, start: Sequence[Any], times: Any, enter: Callable[[Any], tuple[Any, Any]],
                add: Callable[[Any, Any, Sequence[Any]], Iterable[Any]]) -> list[Any]:
    """Emits two nested loops that keep vector sums in registers.

    Args:
        builder: Where to emit the instructions.
        start: Initial sums.
        times: Iterations of the outer loop, int64.
        enter: Emits the beginning of outer iteration t. Returns the iterations of its inner loop, and a state for
            ``add``.
        add: Emits inner iteration j, from the state, j and the sums. Returns the new sums.

    Returns:
        The final sums.
    """
    zero, one = ir.Constant(I64, 0), ir.Constant(I64, 1)
    before = builder.block
    outer_head, outer_body, inner_head, inner_body, outer_next, done = (
        builder.append_basic_block(name) for name in ("outer", "outer.in", "inner", "inner.in", "outer.next", "done"))
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
def clear_16_bytes(typing_context: Any, array: Any, first: Any) -> Intrinsic:
    """Sets 16 bytes of a flat array of bytes to 0, from ``first`` on. A slice would call the C library instead."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        zeros = constant(ir.VectorType(I8, 16), 0)
        store(builder, zeros, pointer(context, builder, signature.args[0], arguments[0], arguments[1], I8), 0, 1)
        return context.get_dummy_value()

    return types.void(array, types.intp), generate


@intrinsic
def prefetch(typing_context: Any, array: Any, first: Any) -> Intrinsic:
    """Prefetches the cache line of element ``first`` of a flat array, for writing."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kind = signature.args[0]
        write, most_local, data = (ir.Constant(I32, value) for value in (1, 3, 1))
        element = context.make_array(kind)(context, builder, arguments[0]).data
        address = builder.bitcast(builder.gep(element, [arguments[1]]), I8.as_pointer())
        call(builder, "llvm.prefetch", ir.VoidType(), [address, write, most_local, data])
        return context.get_dummy_value()

    return types.void(array, types.intp), generate


@intrinsic
def lowest_bit(typing_context: Any, bits: Any) -> Intrinsic:
    """Index of the lowest bit that is set; ``bits`` (uint64) must not be 0."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return call(builder, "llvm.cttz.i64", I64, [arguments[0], ir.Constant(I1, 1)])

    return types.int64(types.uint64), generate


@intrinsic
def count_bits(typing_context: Any, bits: Any) -> Intrinsic:
    """Number of bits of a uint64 that are set."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return bits_set(builder, arguments[0])

    return types.int64(types.uint64), generate


@intrinsic
def load_bits(typing_context: Any, words: Any, first: Any) -> Intrinsic:
    """The bits of four words (uint16, flat) from ``first`` on, as a uint64."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        address = pointer(context, builder, signature.args[0], arguments[0], arguments[1], I16)
        loaded = builder.load(builder.bitcast(address, I64.as_pointer()))
        loaded.align = 2
        return loaded

    return types.uint64(words, types.intp), generate


@intrinsic
def extract_bits(typing_context: Any, bits: Any, mask: Any) -> Intrinsic:
    """The bits at the places that are set in ``mask``, moved together (BMI2's pext). All are uint64."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return call(builder, "llvm.x86.bmi.pext.64", I64, list(arguments))

    return types.uint64(types.uint64, types.uint64), generate
