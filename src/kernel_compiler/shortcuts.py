"""Two questions that numba's compiler asks itself tens of thousands of times, answered from memory.

Only for processes that do nothing but compile. A quarter of the time went into them:

- the flags of the compilation are hashed and compared through two dozen properties, once for each candidate
  of each operation;
- the operation for given types (int64 + int64) is searched among all candidates each time it occurs.

The answers are those that numba gives; where its inside looks different, nothing is replaced.
"""

from __future__ import annotations

from typing import Any


def take_shortcuts() -> tuple[str, ...]:
    """Replace what is known of this numba; returns the names of what was replaced."""
    return (*_flags(), *_operations())


def _flags() -> tuple[str, ...]:
    try:
        from numba.core.targetconfig import TargetConfig
    except ImportError:
        return ()
    if not all(hasattr(TargetConfig, name) for name in ("values", "options", "__slots__", "__hash__")):
        return ()
    slow_hash = TargetConfig.__hash__
    defaults: dict[type, dict[str, Any]] = {}
    hashes: dict[type, int] = {}

    def values(self: Any) -> dict[str, Any]:
        kind = type(self)
        if kind not in defaults:
            defaults[kind] = {name: option.default for name, option in kind.options.items()}
        return {**defaults[kind], **self._values}

    def quick_hash(self: Any) -> int:
        kind = type(self)  # numba hashes the names of the options, not their values
        if kind not in hashes:
            hashes[kind] = slow_hash(self)
        return hashes[kind]

    TargetConfig.values = values
    TargetConfig.__hash__ = quick_hash
    return ("TargetConfig.values", "TargetConfig.__hash__")


def _operations() -> tuple[str, ...]:
    try:
        from numba.core.targetconfig import ConfigStack
        from numba.core.types.functions import BaseFunction
    except ImportError:
        return ()
    if not hasattr(BaseFunction, "get_call_type"):
        return ()
    search = BaseFunction.get_call_type
    found: dict[tuple[Any, ...], Any] = {}
    kept: list[Any] = []  # ids of living objects stay theirs

    def get_call_type(self: Any, context: Any, args: Any, kws: Any) -> Any:
        if kws:
            return search(self, context, args, kws)
        question = (id(self), id(context), ConfigStack.top_or_none(), tuple(args))
        if question not in found:
            found[question] = search(self, context, args, kws)
            kept.append(self)
        return found[question]

    BaseFunction.get_call_type = get_call_type  # type: ignore[method-assign]
    return ("BaseFunction.get_call_type",)
