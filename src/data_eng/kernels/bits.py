"""Numbers by their bits: what a vector unit does in one step, and no operation of the language says."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numba import types
from numba.extending import intrinsic


def _cast(source: Any, target: Any) -> Any:
    if numba.config.DISABLE_JIT:
        return lambda number: np.array(number, source.name).view(target.name)[()]

    @intrinsic  # type: ignore[untyped-decorator]  # numba is not typed
    def cast(_: Any, number: Any) -> Any:
        def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return builder.bitcast(arguments[0], context.get_value_type(target))

        return target(source), build

    return cast


float32_of_bits = _cast(types.int32, types.float32)
bits_of_float32 = _cast(types.float32, types.int32)
float64_of_bits = _cast(types.int64, types.float64)
bits_of_float64 = _cast(types.float64, types.int64)
"""Bits of numbers above 0 have the order of the numbers."""
