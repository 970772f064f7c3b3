"""Compiles loops over integers with numba in about half the time that numba alone needs.

Knows nothing of order books: pipeline and simulator both use it, and share nothing else. What is slow about
compiling is avoided, and none of it changes what a loop computes:

- numba optimises every function and turns it into machine code, also one that only other compiled functions
  call, and does so again in each caller. A helper here stays LLVM code, which goes into its callers; only an
  entry, which Python calls, is optimised, becomes machine code, and gets a file in the cache.
- numba's pipeline has passes for what no loop here contains (closures, `with`, object mode, expressions of
  whole arrays), and analyses the whole function again after each. `_passes` names those that are needed.
- numba compiles a function once for each constant that it is called with. A helper is compiled once for the
  types of its arguments; the optimiser sees the constants wherever it inlines.

An entry with named types is compiled, or read from the cache, when it is first called, not when its module is
imported. So importing costs nothing, and whoever needs no kernel waits for none.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from numba import config, njit, types
from numba._dynfunc import make_function
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import CompilerBase
from numba.core.compiler_machinery import PassManager, register_pass
from numba.core.typed_passes import (
    IRLegalization,
    NativeLowering,
    NoPythonBackend,
    NopythonTypeInference,
    PreLowerStripPhis,
)
from numba.core.untyped_passes import (
    DeadBranchPrune,
    FixupArgs,
    GenericRewrites,
    IRProcessing,
    ReconstructSSA,
    RewriteSemanticConstants,
    TranslateByteCode,
)

Decorator = Callable[[Callable[..., Any]], Any]
_OPTIONS: dict[str, Any] = {"error_model": "numpy", "_nrt": False}
"""division follows numpy; nothing is allocated, so no references are counted: that alone made a loop three
times slower"""


class _LinkedOnly(JITCodeLibrary):  # type: ignore[misc]  # numba has no types
    """LLVM code that is linked into its callers and never becomes machine code by itself."""

    def finalize(self) -> None:
        """Link what the helper calls; whoever compiles an entry optimises all of it at once."""
        self._raise_if_finalized()
        for library in dict.fromkeys(self._linking_libraries):
            self._reload_init.update(library._reload_init)
            self._final_module.link_in(library._get_module_for_linking(), preserve=True)
        self._finalize_dynamic_globals()
        self._finalized = True


@register_pass(mutates_CFG=True, analysis_only=False)
class _HelperLowering(NativeLowering):  # type: ignore[misc]  # numba has no types
    _name = "kernel_helper_lowering"

    def run_pass(self, state: Any) -> bool:
        """LLVM code, and the object that callers know it by; it cannot be called from Python."""
        context = state.targetctx
        state.library = _LinkedOnly(context.codegen(), state.func_id.func_qualname)
        state.flags.no_compile = True
        super().run_pass(state)
        made = state["cr"]
        name = made.fndesc.qualname.rpartition(".")[2]
        known_as = make_function(made.fndesc.lookup_module(), name, "", 0, made.env, (state.library,))
        context.insert_user_function(known_as, made.fndesc, [state.library])
        state["cr"] = made._replace(cfunc=known_as)
        return True


class _Passes(PassManager):  # type: ignore[misc]  # numba has no types
    _ENFORCING = False
    """IRProcessing, ReconstructSSA and IRLegalization analyse the function themselves"""


def _passes(state: Any, name: str, lowering: Any) -> list[PassManager]:
    passes = _Passes(name)
    for one, what in (
        (TranslateByteCode, "bytecode to IR"),
        (FixupArgs, "count of arguments"),
        (IRProcessing, "lifetimes"),
        (RewriteSemanticConstants, "constants such as ndim"),
        (DeadBranchPrune, "branches on constants"),
        (GenericRewrites, "items of tuples"),
        (ReconstructSSA, "one type for each assignment"),
        (NopythonTypeInference, "types"),
        (PreLowerStripPhis, "assignments for phi nodes"),
        (IRLegalization, "ends of lifetimes"),
        (lowering, "LLVM code"),
        (NoPythonBackend, "result"),
    ):
        passes.add_pass(one, what)
    passes.finalize()
    return [passes]


class EntryCompiler(CompilerBase):  # type: ignore[misc]  # numba has no types
    """For functions that Python calls."""

    def define_pipelines(self) -> list[PassManager]:
        """The passes of an entry."""
        return _passes(self.state, "kernel_entry", NativeLowering)


class HelperCompiler(CompilerBase):  # type: ignore[misc]  # numba has no types
    """For functions that only compiled functions call."""

    def define_pipelines(self) -> list[PassManager]:
        """The passes of a helper."""
        return _passes(self.state, "kernel_helper", _HelperLowering)


Preparation = Callable[[str], AbstractContextManager[None]]


def _at_once(module: str) -> AbstractContextManager[None]:
    return nullcontext()


_around: Preparation = _at_once


def prepare_with(around: Preparation) -> Preparation:
    """Enter `around(module)` whenever an entry of a module is compiled or read; returns what was there.

    So a program can wait for a process that compiles that module right now.
    """
    global _around
    before, _around = _around, around
    return before


class Entry:
    """A compiled function with named types, which Python calls; nothing happens before the first call."""

    def __init__(self, dispatcher: Any, signature: Any) -> None:
        functools.update_wrapper(self, dispatcher.py_func)
        self.dispatcher = dispatcher
        self._signature = signature
        self._call: Callable[..., Any] | None = None

    def ready(self) -> Callable[..., Any]:
        """Compile it, or read it from the cache; whoever calls often keeps the answer."""
        if self._call is None:
            named = self._signature() if inspect.isfunction(self._signature) else self._signature
            with _around(self.__module__):
                for signature in named if isinstance(named, list) else [named]:
                    self.dispatcher.compile(signature)
            self.dispatcher.disable_compile()
            self._call = self.dispatcher
        return self._call

    def __call__(self, *arguments: Any) -> Any:
        return (self._call or self.ready())(*arguments)


def entry(signature: Any = None, **options: Any) -> Decorator:
    """`njit(signature, cache=True)` for a function that Python calls.

    signature: numba's, or a list of them, or a function without arguments that gives either, where the types
    are named further down.
    Without a signature it is compiled for the types of its first call, in the process that calls.
    """

    def decorate(function: Callable[..., Any]) -> Any:
        compiled = njit(
            cache=True, pipeline_class=EntryCompiler, no_cfunc_wrapper=True, **_OPTIONS, **options
        )(function)
        return compiled if signature is None or config.DISABLE_JIT else Entry(compiled, signature)

    return decorate


def helper(argument_types: Sequence[Any] | None = None, **options: Any) -> Decorator:
    """`njit` for a function that only compiled functions call; it is compiled when one of them is.

    argument_types: what every call is converted to; None = the types of the call, constants as variables.
    """

    def decorate(function: Callable[..., Any]) -> Any:
        compiled = njit(
            pipeline_class=HelperCompiler,
            no_cpython_wrapper=True,
            no_cfunc_wrapper=True,
            **_OPTIONS,
            **options,
        )(function)
        if config.DISABLE_JIT:
            return compiled
        ask = compiled.get_call_template
        answers: dict[tuple[Any, ...], Any] = {}

        def get_call_template(given: Sequence[Any], names: dict[str, Any]) -> Any:
            wanted = tuple(argument_types or map(types.unliteral, given))
            if names:
                return ask(wanted, names)
            if wanted not in answers:
                answers[wanted] = ask(wanted, {})
            return answers[wanted]

        def refuse(*_: Any, **__: Any) -> Any:
            raise TypeError(f"{function.__qualname__} is a helper: only compiled functions can call it")

        compiled.get_call_template = get_call_template
        compiled._insert = lambda *_, **__: None  # Python's way in, which would lead nowhere
        compiled._compile_for_args = refuse
        return compiled

    return decorate
