"""Rows: the inner loops on rows of 64 floats, written as LLVM vectors.

Activations are [features, 64 examples], so one weight multiplies one row, which stays in registers.
As plain loops over 64 floats the same code is several times slower: LLVM keeps neither the row nor
the sum in registers across the survivors. Vectors of 64 become whatever the CPU has.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numba as nb
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

WIDTH = 64
TILE = 16  # bytes and examples of a transposed square
GROUPS = (8, 4)  # products that are summed up together

# Sums may be reordered and fused. That NaN and infinity do not exist is not assumed, as it would
# hide divergence; nor are reciprocals approximated, as updates must be those of the dense engine.
FLAGS = ("reassoc", "contract", "nsz")
OPTIONS: Mapping[str, Any] = {
    "fastmath": set(FLAGS),
    "nogil": True,
    "boundscheck": False,
    "error_model": "numpy",
}
compiled = nb.njit(**OPTIONS)

_F32, _I64, _I32, _I8 = ir.FloatType(), ir.IntType(64), ir.IntType(32), ir.IntType(8)
_ROW = ir.VectorType(_F32, WIDTH)
_PART = ir.VectorType(_F32, TILE)
_BYTES = ir.VectorType(_I8, TILE)
_ALIGNED = 64  # bytes
_INT, _FLOAT = types.int64, types.float32  # what numbers are converted to

Builder = Any  # llvmlite.ir.IRBuilder
Value = Any  # llvmlite.ir.Value


def _at(b: Builder, array: Value, row: Value) -> Value:
    """The address of a row of a [rows, 64] array."""
    return b.bitcast(b.gep(array, [b.mul(row, ir.Constant(_I64, WIDTH))]), _ROW.as_pointer())


def _load(b: Builder, pointer: Value, align: int = _ALIGNED) -> Value:
    loaded = b.load(pointer)
    loaded.align = align
    return loaded


def _store(b: Builder, value: Value, pointer: Value, align: int = _ALIGNED) -> None:
    b.store(value, pointer).align = align


def _splat(b: Builder, number: Value, vector: ir.VectorType) -> Value:
    """A vector that holds the number in every place."""
    empty = ir.Constant(vector, ir.Undefined)
    one = b.insert_element(empty, number, ir.Constant(_I32, 0))
    places = ir.Constant(ir.VectorType(_I32, vector.count), [0] * vector.count)
    return b.shuffle_vector(one, empty, places)


def _shuffle(b: Builder, x: Value, y: Value, places: list[int]) -> Value:
    return b.shuffle_vector(x, y, ir.Constant(ir.VectorType(_I32, len(places)), places))


def _fma(b: Builder, x: Value, y: Value, z: Value) -> Value:
    return b.fadd(b.fmul(x, y, flags=FLAGS), z, flags=FLAGS)


def _sum(b: Builder, vector: Value) -> Value:
    kind = vector.type
    name = f"llvm.vector.reduce.fadd.v{kind.count}f32"
    function = cgutils.get_or_insert_function(b.module, ir.FunctionType(_F32, [_F32, kind]), name)
    return b.call(function, [ir.Constant(_F32, -0.0), vector], fastmath=FLAGS)


def _pointers(context: Any, b: Builder, signature: Any, arguments: Any) -> list[Value]:
    """The arguments, arrays as the address of their data."""
    return [
        cgutils.create_struct_proxy(kind)(context, b, value=value).data
        if isinstance(kind, types.Array)
        else value
        for kind, value in zip(signature.args, arguments, strict=True)
    ]


def _each(b: Builder, start: Value, stop: Value, step: int = 1) -> Any:
    return cgutils.for_range_slice(b, start, stop, ir.Constant(_I64, step))


def _row_of(b: Builder, index: Value, k: Value, first: Value) -> Value:
    """The row that survivor k multiplies."""
    return b.add(first, b.sext(b.load(b.gep(index, [k])), _I64))


@intrinsic
def weighted_sum(typing, index, values, start, stop, bias, slope, work, first, out):  # type: ignore[no-untyped-def]
    """work[out] = leaky(bias + sum over k of values[k] * work[first + index[k]]).

    Negative sums are multiplied by `slope`; NaN stays NaN.
    """
    del typing, start, stop, bias, slope, first, out
    signature = types.void(index, values, _INT, _INT, _FLOAT, _FLOAT, work, _INT, _INT)

    def generate(context: Any, b: Builder, signature: Any, arguments: Any) -> Value:
        index, values, start, stop, bias, slope, work, first, out = _pointers(
            context, b, signature, arguments
        )
        total = cgutils.alloca_once(b, _ROW)
        b.store(_splat(b, bias, _ROW), total)
        with _each(b, start, stop) as (k, _):
            weight = _splat(b, b.load(b.gep(values, [k])), _ROW)
            row = _load(b, _at(b, work, _row_of(b, index, k, first)))
            b.store(_fma(b, weight, row, b.load(total)), total)
        result = b.load(total)
        negative = b.fcmp_ordered("<", result, ir.Constant(_ROW, [0.0] * WIDTH))
        leaked = b.fmul(result, _splat(b, slope, _ROW))
        _store(b, b.select(negative, leaked, result), _at(b, work, out))
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def leaky_gradient(typing, slope, work, outputs, delta):  # type: ignore[no-untyped-def]
    """Multiply work[delta] by `slope` where work[outputs] is not positive; returns its new sum.

    Outputs have the sign of what they were made of, as slopes are not negative. In vectors like
    the reads that follow: a wide read of what was stored in parts waits for the cache.
    """
    del typing, slope, outputs, delta
    signature = _FLOAT(_FLOAT, work, _INT, _INT)

    def generate(context: Any, b: Builder, signature: Any, arguments: Any) -> Value:
        slope, work, outputs, delta = _pointers(context, b, signature, arguments)
        row, place = _load(b, _at(b, work, outputs)), _at(b, work, delta)
        gradient = _load(b, place)
        positive = b.fcmp_ordered(">", row, ir.Constant(_ROW, [0.0] * WIDTH))
        result = b.select(positive, gradient, b.fmul(gradient, _splat(b, slope, _ROW)))
        _store(b, result, place)
        return _sum(b, result)

    return signature, generate


@intrinsic
def products(typing, index, gradients, start, stop, work, delta, first):  # type: ignore[no-untyped-def]
    """gradients[k] += the sum of work[delta] * work[first + index[k]], for k from start to stop.

    Eight or four products at a time: summed up together they take two thirds of the instructions.
    """
    del typing, start, stop, delta, first
    signature = types.void(index, gradients, _INT, _INT, work, _INT, _INT)

    def generate(context: Any, b: Builder, signature: Any, arguments: Any) -> Value:
        index, gradients, start, stop, work, delta, first = _pointers(
            context, b, signature, arguments
        )
        row = _load(b, _at(b, work, delta))
        parts = [_part(b, row, n) for n in range(WIDTH // TILE)]

        def product(k: Value) -> Value:
            other = _load(b, _at(b, work, _row_of(b, index, k, first)))
            total = b.fmul(parts[0], _part(b, other, 0), flags=FLAGS)
            for n in range(1, len(parts)):
                total = _fma(b, parts[n], _part(b, other, n), total)
            return total

        def add(k: Value, value: Value) -> None:
            place = b.bitcast(b.gep(gradients, [k]), value.type.as_pointer())
            _store(b, b.fadd(_load(b, place, 4), value), place, 4)

        for group in GROUPS:
            rest = b.srem(b.sub(stop, start), ir.Constant(_I64, group))
            whole = b.sub(stop, rest)
            with _each(b, start, whole, group) as (k, _):
                several = [b.add(k, ir.Constant(_I64, n)) for n in range(group)]
                add(k, _sums(b, several, product))
            start = whole
        with _each(b, start, stop) as (k, _):
            add(k, _sum(b, product(k)))
        return context.get_dummy_value()

    return signature, generate


def _part(b: Builder, row: Value, number: int) -> Value:
    """A quarter of a row."""
    places = list(range(number * TILE, (number + 1) * TILE))
    return _shuffle(b, row, row, places)


def _sums(b: Builder, keys: list[Value], product: Callable[[Value], Value]) -> Value:
    """The sum of each of several vectors of 16, as one vector; their number is a power of 2."""

    def tree(keys: list[Value]) -> Value:
        """A vector whose place n * len(keys) + m is a partial sum of vector m."""
        if len(keys) == 1:
            return product(keys[0])
        half = len(keys) // 2
        low, high = tree(keys[:half]), tree(keys[half:])
        pairs = [range(n, n + half) for n in range(0, TILE, 2 * half)]
        even = [p + side for pair in pairs for side in (0, TILE) for p in pair]
        first = _shuffle(b, low, high, even)
        second = _shuffle(b, low, high, [place + half for place in even])
        return b.fadd(first, second, flags=FLAGS)

    total = tree(keys)
    while (width := total.type.count) > len(keys):
        halves = ([*range(n, n + width // 2)] for n in (0, width // 2))
        total = b.fadd(*(_shuffle(b, total, total, places) for places in halves), flags=FLAGS)
    return total


@intrinsic
def scatter(typing, index, values, start, stop, work, delta, first):  # type: ignore[no-untyped-def]
    """work[first + index[k]] += values[k] * work[delta], for k from start to stop."""
    del typing, start, stop, delta, first
    signature = types.void(index, values, _INT, _INT, work, _INT, _INT)

    def generate(context: Any, b: Builder, signature: Any, arguments: Any) -> Value:
        index, values, start, stop, work, delta, first = _pointers(context, b, signature, arguments)
        row = _load(b, _at(b, work, delta))
        with _each(b, start, stop) as (k, _):
            weight = _splat(b, b.load(b.gep(values, [k])), _ROW)
            place = _at(b, work, _row_of(b, index, k, first))
            _store(b, _fma(b, weight, row, _load(b, place)), place)
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def transposed_tile(typing, images, rows, block, count, feature, mean, inverse_std, work):  # type: ignore[no-untyped-def]
    """work[feature + q, block + p] = normalised images[rows[block + p], feature + q], p, q < 16.

    Of `rows` there are `count`; beyond it the last one is repeated. One transposition of 16x16
    bytes in registers: writing column by column would touch each line of the cache 16 times.
    """
    del typing, block, count, feature
    signature = types.void(images, rows, _INT, _INT, _INT, mean, inverse_std, work)

    def generate(context: Any, b: Builder, signature: Any, arguments: Any) -> Value:
        _, rows, block, count, feature, mean, inverse_std, work = _pointers(
            context, b, signature, arguments
        )
        held = cgutils.create_struct_proxy(signature.args[0])(context, b, value=arguments[0])
        size, last = b.extract_value(held.shape, 1), b.sub(count, ir.Constant(_I64, 1))
        lines = []
        for n in range(TILE):
            place = b.add(block, ir.Constant(_I64, n))
            place = b.select(b.icmp_signed("<", place, count), place, last)
            example = b.sext(b.load(b.gep(rows, [place])), _I64)
            line = b.gep(held.data, [b.add(b.mul(example, size), feature)])
            lines.append(_load(b, b.bitcast(line, _BYTES.as_pointer()), 1))
        for n, line in enumerate(_transposed(b, lines)):
            number = b.add(feature, ir.Constant(_I64, n))
            centre, scale = (
                _splat(b, b.load(b.gep(array, [number])), _PART) for array in (mean, inverse_std)
            )
            value = b.fmul(b.fsub(b.uitofp(line, _PART), centre), scale)
            offset = b.add(b.mul(number, ir.Constant(_I64, WIDTH)), block)
            _store(b, value, b.bitcast(b.gep(work, [offset]), _PART.as_pointer()))
        return context.get_dummy_value()

    return signature, generate


def _transposed(b: Builder, lines: list[Value]) -> list[Value]:
    """The columns of 16 lines of 16: four rounds that interleave line n with line n + 8."""
    half = TILE // 2
    low = [place for n in range(half) for place in (n, TILE + n)]
    high = [place + half for place in low]
    for _ in range(4):
        pairs = [(lines[n], lines[n + half]) for n in range(half)]
        lines = [_shuffle(b, *pair, places) for pair in pairs for places in (low, high)]
    return lines


@intrinsic
def prefetch(typing, images, row):  # type: ignore[no-untyped-def]
    """Ask for images[row] in the second-level cache: examples are read in random order."""
    del typing, row
    signature = types.void(images, _INT)

    def generate(context: Any, b: Builder, signature: Any, arguments: Any) -> Value:
        held = cgutils.create_struct_proxy(signature.args[0])(context, b, value=arguments[0])
        size = b.extract_value(held.shape, 1)
        kind = ir.FunctionType(ir.VoidType(), [_I8.as_pointer(), _I32, _I32, _I32])
        function = cgutils.get_or_insert_function(b.module, kind, "llvm.prefetch.p0")
        with _each(b, ir.Constant(_I64, 0), size, _ALIGNED) as (k, _):
            address = b.gep(held.data, [b.add(b.mul(arguments[1], size), k)])
            flags = [ir.Constant(_I32, n) for n in (0, 2, 1)]  # a read, second level, of data
            b.call(function, [b.bitcast(address, _I8.as_pointer()), *flags])
        return context.get_dummy_value()

    return signature, generate
