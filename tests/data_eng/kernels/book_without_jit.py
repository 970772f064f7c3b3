"""Run the book's kernel as plain Python against its twin, and say which of its lines were never reached.

Started by test_book_without_jit.py in a process of its own, with NUMBA_DISABLE_JIT=1: numba reads that when
it is imported. Writes one JSON object: streams, lines, and the missed lines by function.
"""

from __future__ import annotations

import dis
import json
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import numba
import numpy as np
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from data_eng.kernels import book
from data_eng.stages.silver.future_mbo import book_engine
from tests.engine_helpers import TINY_ROOMS, assert_equals_twin, columns, cramped_engine, pairs, rec, snapshot
from tests.naive import book as naive_book
from tests.naive.records import ASK, BID, MAX_SIZE, UNDEF_PRICE
from tests.strategies import BASE_NS, CENTRE, SECOND, TICK, any_streams, pauses, statuses

REACH_TICKS = 25
"""+-600 levels a side and window would be most of the time; engine and twin get the same smaller reach"""
STREAMS = settings(max_examples=8, derandomize=True, database=None, deadline=None, phases=[Phase.generate])
seen: set[tuple[str, int]] = set()
streams = 0


def kernel_functions() -> Iterator[tuple[str, CodeType]]:
    """Functions of the kernel by name, without imports and types."""
    for name, value in vars(book).items():
        if isinstance(value, types.FunctionType) and value.__module__ == book.__name__:
            yield name, value.__code__


def trace(frame: FrameType, event: str, _: Any) -> Any:
    if frame.f_code.co_filename != book.__file__:
        return None
    seen.add((frame.f_code.co_name, frame.f_lineno))
    return trace


def check(recs: Any, **options: Any) -> None:
    global streams  # a number for the report
    streams += 1
    assert_equals_twin(recs, cramped=True, **options)


@settings(STREAMS, suppress_health_check=list(HealthCheck))
@given(any_streams(), pauses(), statuses(), st.booleans())
def check_generated_streams(recs: Any, closed: Any, status: Any, limited: bool) -> None:
    limits = {"emit_from_ns": BASE_NS + SECOND, "emit_to_ns": BASE_NS + 20 * SECOND} if limited else {}
    check(recs, pauses=pairs(closed), status=pairs(status), **limits)


def check_rare_states() -> None:
    """What random streams seldom meet."""
    book_ = snapshot((1, BID, CENTRE, 10), (2, ASK, CENTRE + TICK, 7))
    trade = rec(10, "T", BID, 90, CENTRE, 1)
    crossed = rec(100, "A", BID, 3, CENTRE + TICK, 1)
    every_phase = pairs([(BASE_NS + k * SECOND, phase) for k, phase in enumerate((2, 1, 0, 3))])
    quiet = [rec(1000 * k + 200, "N", "N", 0, 0, 0) for k in range(4)]
    check([*book_, crossed, *quiet], status=every_phase)
    # levels on both sides of an axis that may not grow so far
    far = [
        rec(20 + k, "A", side, 10 + k, CENTRE + ticks * TICK, 2)
        for k, (side, ticks) in enumerate(
            [(BID, -24), (BID, -23), (ASK, 24), (ASK, 22), (ASK, 10**6), (BID, -(10**6)), (ASK, -(10**7))]
        )
    ]
    gone = [rec(1500 + k, "C", r.side, r.order_id, r.price, 2) for k, r in enumerate(far)]
    check([*book_, trade, *far, *gone, rec(4000, "N", "N", 0, 0, 0)])
    check([*far, rec(100, "T", BID, 90, far[4].price, 1), *gone])
    # an id that was filled before it appears, twice known, and never
    fills = [rec(10, "F", ASK, i, CENTRE, 3, 0) for i in (5, 5, 6, 7)]
    check([*fills, rec(10, "A", ASK, 6, CENTRE, 4, 0), rec(10, "C", ASK, 6, CENTRE, 4)])
    # a time stamp from the future stays young for more than one window
    future = rec(0, "A", BID, 5, CENTRE, 1)._replace(ts_event=BASE_NS + 3 * SECOND)
    check([*book_, trade, future, *quiet])
    # many orders in a small table: runs of the hash meet, and close again
    adds = [rec(k, "A", BID, 1_000 + 7 * k, CENTRE - k % 5 * TICK, 1) for k in range(60)]
    ends = [rec(100 + k, "C", BID, r.order_id, r.price, 1) for k, r in enumerate(adds[::2] + adds[1::2])]
    check([*adds, trade, *ends])
    # duplicates: an old order, and one that changes its side
    check([*book_, trade, rec(20, "A", BID, 1, CENTRE, 3), rec(30, "A", ASK, 1, CENTRE + TICK, 4)])
    # late trades before any window, and an impossible size
    early = rec(0, "T", BID, 90, CENTRE, 7)._replace(ts_event=BASE_NS + 5 * SECOND)
    check(
        [
            *book_,
            early,
            rec(100, "T", ASK, 91, CENTRE, MAX_SIZE + 1),
            rec(200, "C", BID, 1, CENTRE, 2**32 - 1),
        ]
    )
    check([early])
    before = rec(0, "A", BID, 5, CENTRE, 1)._replace(ts_event=BASE_NS + 5 * SECOND)
    check([*book_, before, trade, *quiet])
    # pauses that were over before the run, one that it meets, and what each refused record is
    check(
        [*book_, *quiet], pauses=pairs([(BASE_NS - 9, BASE_NS - 5), (BASE_NS + SECOND, BASE_NS + 2 * SECOND)])
    )
    refused = [
        rec(20, "T", BID, 90, UNDEF_PRICE, 1),
        rec(21, "T", BID, 90, CENTRE + 1, 1),
        rec(22, "Z", BID, 90, CENTRE, 1),
        rec(23, "A", BID, 91, UNDEF_PRICE, 1),
        rec(24, "A", BID, 91, CENTRE + 1, 1),
        rec(25, "A", BID, 91, CENTRE, 2**32 - 1),
        rec(26, "A", "N", 91, CENTRE, 1),
    ]
    check([*book_, trade, *refused])
    # pulls in every band of the radar's zone
    ladder = [rec(30 + k, "A", BID, 50 + k, CENTRE - k * TICK, 2) for k in range(22)]
    pulled = [rec(2_000 + k, "C", BID, r.order_id, r.price, 2) for k, r in enumerate(ladder)]
    check([*book_, trade, *ladder, *pulled])
    # fills that no column can hold are refused aloud
    many = [rec(10, "F", ASK, 2, CENTRE + TICK, MAX_SIZE, 0)] * 2
    check([*book_, trade, *many, rec(10, "C", ASK, 2, CENTRE + TICK, 7)])
    strange = [record._replace(order_id=5) for record in many]
    check([trade, *strange, rec(10, "A", ASK, 5, CENTRE, 7, 0), rec(10, "C", ASK, 5, CENTRE, 7)])
    # the largest and smallest prices there are
    edge = [
        rec(k, "A", BID, 20 + k, p, 1)
        for k, p in enumerate((-(2**63 // TICK) * TICK, 2**63 // TICK * TICK - TICK))
    ]
    check([*book_, trade, *edge, *quiet])
    check([*book_, *edge, rec(1500, "R", "N", 0, UNDEF_PRICE, 0), *quiet[2:]])


def check_without_radar() -> None:
    """Changes are not remembered for a radar that nobody wants."""
    recs = [rec(10, "T", BID, 90, CENTRE, 1), rec(20, "A", BID, 1, CENTRE, 3)]
    engine = cramped_engine(radar=False)
    engine.apply(columns(recs))
    windows = engine.finish()
    assert windows.wall_surface_1s["depth_qty_end"].to_pylist() == [3]
    assert windows.radar_vacuum_1s.num_rows == 0


def check_advance() -> None:
    """Time that passes without a record, also inside a snapshot; growing output; a second advance."""
    engine = cramped_engine()
    engine.advance(BASE_NS)
    book_ = snapshot((1, BID, CENTRE, 10), (2, ASK, CENTRE + TICK, 7))
    engine.apply(columns([*book_, rec(10, "T", BID, 90, CENTRE, 1)]))
    again = snapshot((1, BID, CENTRE, 10), (2, ASK, CENTRE + TICK, 7), layout="legacy", t_ms=1500)
    closed = [engine.apply(columns(again[:1])), engine.advance(BASE_NS + 4 * SECOND)]
    valid = [v for part in closed for v in part.book_snapshot_1s["book_valid"].to_pylist()]
    assert valid == [True, False, False, False]
    engine.apply(columns([*again[1:], rec(4500, "N", "N", 0, 0, 0)]))
    wall = engine.finish().wall_surface_1s
    assert wall["window_valid"].to_pylist() == [False, False], "half of the snapshot came in this window"
    assert wall["depth_qty_start"].to_pylist() == [0, 10]
    assert wall["depth_qty_end"].to_pylist() == [7, 10]


def main() -> None:
    assert numba.config.DISABLE_JIT, "start this with NUMBA_DISABLE_JIT=1"
    np.seterr(over="ignore")  # the order table's hash multiplies modulo 2**64
    book.HUD_MAX_TICKS = naive_book.HUD_MAX_TICKS = REACH_TICKS
    for name, value in TINY_ROOMS.items():
        setattr(book_engine, name, value)
    sys.settrace(trace)
    check_rare_states()
    check_advance()
    check_without_radar()
    check_generated_streams()
    sys.settrace(None)
    lines = {
        (name, line)
        for name, code in kernel_functions()
        for _, line in dis.findlinestarts(code)
        if line is not None and line > code.co_firstlineno
    }
    source = Path(book.__file__).read_text(encoding="utf-8").splitlines()
    missed: dict[str, list[str]] = {}
    for name, line in sorted(lines - seen):
        missed.setdefault(name, []).append(source[line - 1].strip())
    sys.stdout.write(json.dumps({"streams": streams, "lines": len(lines), "missed": missed}) + "\n")


if __name__ == "__main__":
    main()
