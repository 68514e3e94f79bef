"""Sets of neighbouring pixels as bits of an integer: bit i is the pixel i places to the right."""

from __future__ import annotations

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from .vector_ir import I1, I16, I64, bits_set, call, pointer


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
