"""A hint to the processor: a row of an array will be needed soon.

The order table of a busy future does not fit into the second-level cache, and where an order lies in it is
known only from its id; asked for a few records ahead, the row is there when its record is applied.
"""

from __future__ import annotations

from typing import Any

import numba
from llvmlite import ir
from numba import types
from numba.extending import intrinsic


def _without_jit(rows: Any, index: Any) -> None:
    """Nothing to hint at."""


@intrinsic  # type: ignore[untyped-decorator]  # numba is not typed
def _hint(_: Any, rows: Any, index: Any) -> Any:
    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kind = signature.args[0]
        data = context.make_array(kind)(context, builder, arguments[0]).data
        byte, word = ir.IntType(8), ir.IntType(32)
        start = builder.bitcast(data, byte.as_pointer())
        size = ir.Constant(arguments[1].type, kind.dtype.size)
        address = builder.gep(start, [builder.mul(arguments[1], size)])
        pointer = address.type
        target = builder.module.declare_intrinsic(
            "llvm.prefetch", [pointer], ir.FunctionType(ir.VoidType(), [pointer, word, word, word])
        )
        read, keep_in_all_caches, data_not_code = (ir.Constant(word, n) for n in (0, 3, 1))
        builder.call(target, [address, read, keep_in_all_caches, data_not_code])
        return context.get_dummy_value()

    return types.void(rows, index), build


prefetch_row = _without_jit if numba.config.DISABLE_JIT else _hint
"""prefetch_row(rows, index): `rows` a contiguous array of records, `index` an int64; changes nothing."""
