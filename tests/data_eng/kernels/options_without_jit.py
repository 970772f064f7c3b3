"""Run the kernels of the options as plain Python against their twins, and say which lines were never reached.

Started by test_options_without_jit.py in a process of its own, with NUMBA_DISABLE_JIT=1: numba reads that
when it is imported. Writes one JSON object: cases, lines, and the missed lines by module and function.
"""

from __future__ import annotations

import dis
import json
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, FrameType, ModuleType
from typing import Any

import numba
import numpy as np
from hypothesis import HealthCheck, Phase, given, settings

from data_eng.kernels import black76, gex, net_gamma, option_book, series_vols, vector_math
from data_eng.mbo import MboColumns
from data_eng.stages.silver.future_option_mbo import option_books
from tests.data_eng.stages.silver.future_option_mbo.test_option_books import (
    IDS,
    busy_stream,
    ends,
    plain_quotes,
    quotes_of,
)
from tests.naive.option_gamma import Contract, Figure, Window
from tests.naive.records import ASK, BID, F_LAST, F_MAYBE_BAD_BOOK, Rec
from tests.option_harness import assert_case, run_stage, same_bytes
from tests.option_strategies import CENTRE, HOURS_NS, NICKEL, POINT, OptionCase, option_cases
from tests.strategies import BASE_NS, EVENT_END, RECV_DELAY_NS, SECOND, SNAPSHOT

MODULES: tuple[ModuleType, ...] = (option_book, gex, series_vols, net_gamma, black76, vector_math)
CASES = settings(max_examples=14, derandomize=True, database=None, deadline=None, phases=[Phase.generate])
BUSY_RECORDS = 700
SCALE = 6_900.0
seen: set[tuple[str, str, int]] = set()
cases = 0


def kernel_functions(module: ModuleType) -> Iterator[tuple[str, CodeType]]:
    """Functions of a kernel by name, without imports and types."""
    for name, value in vars(module).items():
        if isinstance(value, types.FunctionType) and value.__module__ == module.__name__:
            yield name, value.__code__


def trace(frame: FrameType, event: str, _: Any) -> Any:
    name = FILES.get(frame.f_code.co_filename)
    if name is None:
        return None
    seen.add((name, frame.f_code.co_name, frame.f_lineno))
    return trace


FILES = {str(module.__file__): module.__name__.rsplit(".", 1)[1] for module in MODULES}


def by_name(function: Any) -> Any:
    """The same function, which may say `row.field` of a row of a structured array, as compiled code may."""

    def called(*args: Any) -> Any:
        return function(*map(_with_names, args))

    return called


def _with_names(value: Any) -> Any:
    if isinstance(value, tuple):
        return value._make(map(_with_names, value))  # type: ignore[attr-defined]
    return value.view(np.recarray) if isinstance(value, np.ndarray) and value.dtype.names else value


@settings(CASES, suppress_health_check=list(HealthCheck))
@given(option_cases())
def check_generated_cases(case: OptionCase) -> None:
    if case.figures and len(case.windows) < 20:
        check(case)


def check(case: OptionCase) -> None:
    global cases  # a number for the report
    cases += 1
    assert_case(case, windows_per_block=3)


def quoted(
    *lots: float, spots: tuple[int, ...] = (CENTRE,), expiry_ns: int = HOURS_NS, mid: int = CENTRE
) -> OptionCase:
    """One call and one put per strike, 5 points apart, quoted near a fair value; lots: open calls - puts."""
    chain, figures, records = [], {}, []
    for k, open_lots in enumerate(lots):
        strike = CENTRE + 5 * POINT * (k - len(lots) // 2)
        for right, place in (("C", 0), ("P", 1)):
            contract = Contract(1_000 + 2 * k + place, right, strike, BASE_NS + expiry_ns)
            chain.append(contract)
            wanted = open_lots if right == "C" else -open_lots
            figures[contract.instrument_id] = [Figure(BASE_NS - SECOND, max(wanted, 0.0))]
            inside = max((CENTRE - strike) * (1 if right == "C" else -1), 0)
            fair = inside // NICKEL + max(2, 60 - abs(strike - CENTRE) // POINT)
            for order, side in ((1, BID), (2, ASK)):
                price = (fair + (1 if side == ASK else -1)) * NICKEL
                ts, flags = BASE_NS, SNAPSHOT | F_LAST if side == ASK else SNAPSHOT
                number = contract.instrument_id
                records.append(Rec(ts, ts + RECV_DELAY_NS, order, price, 3, flags, "A", side, number, 0))
    records.append(records[-1]._replace(flags=EVENT_END, action="N", side="N", order_id=0, size=0))
    windows = [Window(BASE_NS + (1 + k) * SECOND, spot, mid) for k, spot in enumerate(spots)]
    return OptionCase(chain, windows, figures, records, 0.05)


def check_gamma_that_turns() -> None:
    """Nets of gamma that cross 0 often, touch it nearly, or stand alone; the last minutes."""
    waves = [100.0, -90.0, 80.0, -85.0, 100.0]
    for expiry_ns in (HOURS_NS, 600 * SECOND):
        check(quoted(*waves, spots=(CENTRE, 0, CENTRE + POINT), expiry_ns=expiry_ns))
    check(quoted(0.0, 5.0, 0.0, mid=0))


def check_nearly_touching() -> None:
    """A dip of gamma between two peaks, down to a hair above 0, to 0 and to a hair below, in one cell."""
    for depth, roots in ((-1e-3, 0), (-1e-9, 0), (1e-9, 2), (1e-3, 2)):
        strikes, s = np.array([6_890.0, 6_900.0, 6_910.0]), 5.0 / 6_900.0
        terms = np.zeros((8, 3))
        terms[0], terms[1], terms[2] = np.log(strikes), 0.5 * s, 1.0 / s

        def dip(at: float, *, terms: Any = terms, strikes: Any = strikes, s: float = s) -> float:
            d1 = (np.log(at) - np.log(strikes[[0, 2]])) / s + 0.5 * s
            mine = (np.log(at) - np.log(strikes[1])) / s + 0.5 * s
            return float(np.exp(-0.5 * d1 * d1).sum() / np.exp(-0.5 * mine * mine))

        lowest = 6_900.0
        for reach in (5.0, 0.1, 2e-3, 4e-5):
            lowest = min(np.linspace(lowest - reach, lowest + reach, 101), key=dip)
        terms[3] = [1.0, -dip(lowest) * (1.0 + depth), 1.0]
        lo, hi = lowest - 1.3, lowest + 1.0
        found = net_gamma._turning_point(lo, hi, 1.0, 3, terms, _rough(terms), SCALE, *_bounds(terms, lo))
        assert (found > 0.0) == (roots == 2), (depth, found)
        if found > 0.0:
            assert net_gamma._net_gamma(found, 3, terms)[0] <= 0.0
            left = net_gamma._root_between(lo, found, 1.0, 3, terms)
            assert lo < left < found, "the fall of G through 0"
            assert abs(net_gamma._net_gamma(left, 3, terms)[0]) < 1e-9
        nets = 50.0 * terms[3:4]
        flips = _flips_of(strikes, s, nets)
        assert sum(abs(flip - lowest) < 1.0 for flip in flips) == roots, (depth, flips)
    lone = terms[:, :1].copy()
    assert net_gamma._turning_point(6_880.0, 6_880.0, 1.0, 1, lone, _rough(lone), SCALE, 0.0, 0.0) == 0.0, (
        "an empty cell"
    )


def _rough(terms: Any) -> Any:
    rough = np.empty((5, max(terms.shape[1], 2)), np.float32)
    net_gamma._round_off(terms, terms.shape[1], SCALE, rough)
    return rough


def _bounds(terms: Any, lowest: float) -> tuple[float, float]:
    weight, one_over_s = np.abs(terms[3]), terms[2]
    return net_gamma._STEEPEST * float((weight * one_over_s**2).sum()) / lowest, 1e-9 * float(
        (weight * one_over_s).sum()
    )


def _flips_of(strikes: Any, s: float, nets: Any) -> list[float]:
    """Flips of one window, at a spot whose grid has no point next to 6,900."""
    n, years = len(strikes), HOURS_NS / net_gamma.NS_PER_YEAR
    none, vol = np.zeros((1, n)), np.full((1, n), s / years**0.5)
    out, flip_end, flips = np.empty((10, 1)), np.zeros(2, np.int32), np.zeros(50)
    done = net_gamma.profile(
        np.array([BASE_NS]), np.array([CENTRE + POINT]), (strikes * POINT).astype(np.int64),
        np.full(n, BASE_NS + HOURS_NS), np.arange(n, dtype=np.int32), vol, nets, none, none, none, 0.05, 0,
        out, flip_end, flips, np.empty((8, n)), np.empty((5, max(n, 2)), np.float32),
    )  # fmt: skip
    assert done == 1
    return [float(flip) for flip in flips[: flip_end[1]]]


def check_exact_zeros() -> None:
    """Two series that cancel to the last bit: G is 0 on the whole grid, and flips find no room at first."""
    ends_, spots = np.array([BASE_NS]), np.array([CENTRE])
    strikes, expiration = np.array([CENTRE]), np.array([BASE_NS + HOURS_NS] * 2)
    vol, net, none = np.full((1, 2), 0.12), np.array([[50.0, -50.0]]), np.zeros((1, 1))
    out, flip_end, terms = np.empty((10, 1)), np.zeros(2, np.int32), np.empty((8, 2))
    rough = np.empty((5, 2), np.float32)
    args = (
        ends_,
        spots,
        strikes,
        expiration,
        np.zeros(2, np.int32),
        vol,
        net,
        np.zeros((1, 2)),
        none,
        none,
        0.05,
        0,
    )
    assert net_gamma.profile(*args, out, flip_end, np.zeros(3), terms, rough) == 0, "no room"
    flips = np.zeros(200)
    assert net_gamma.profile(*args, out, flip_end, flips, terms, rough) == 1
    assert flip_end[1] > 30
    assert (np.diff(flips[: flip_end[1]]) > 0).all()
    assert flips[0] == 6_750.0
    assert flips[flip_end[1] - 1] == 7_050.0
    assert net_gamma._root_between(6_800.0, 6_900.0, 1.0, 2, terms) == 6_850.0


def check_refused_records() -> None:
    """What each refused record is, outside of a snapshot and inside."""
    case = quoted(10.0, spots=(CENTRE, CENTRE))
    call = case.chain[0].instrument_id
    whole = case.records[0]._replace(instrument_id=call, order_id=9, flags=EVENT_END)
    huge = 2**32 - 1
    odd = [
        whole._replace(size=huge),
        whole._replace(price=0),
        whole._replace(side="N"),
        whole._replace(action="C", size=huge),
        whole._replace(action="T", size=huge),
        whole._replace(action="M", side="N"),
        whole._replace(action="Z"),
    ]
    check(case._replace(records=[*case.records, *odd]))
    told = [whole._replace(flags=SNAPSHOT, price=0), whole._replace(flags=SNAPSHOT | F_MAYBE_BAD_BOOK)]
    check(case._replace(records=[*case.records, *told, whole._replace(flags=SNAPSHOT | F_LAST, action="M")]))


def check_quiet_ends() -> None:
    """A mid that outlives its bid, a day of snapshots alone, and an option that no snapshot names."""
    case = quoted(10.0, -10.0, spots=(CENTRE, CENTRE, CENTRE, CENTRE + POINT))
    gone = case.records[0]._replace(
        flags=EVENT_END, action="C", ts_event=BASE_NS + SECOND + 1, ts_recv=BASE_NS + SECOND + RECV_DELAY_NS
    )
    check(case._replace(records=[*case.records, gone]))
    check(case._replace(records=case.records[:-1]))
    check(case._replace(records=case.records[2:]))


def check_shards() -> None:
    """Options of another shard move the clock."""
    case = quoted(10.0, -20.0, 30.0, spots=(CENTRE, CENTRE + POINT // 4))
    assert same_bytes(run_stage(case), run_stage(case, shards=2))


def check_growth() -> None:
    """Orders, levels and windows that outgrow their rooms, and dead orders after clears, against a dict."""
    rows, window_end = busy_stream(BUSY_RECORDS), ends(3)
    rows["ts_event"] = rows["ts_event"][0] + np.arange(len(rows)) * (2 * SECOND // BUSY_RECORDS)
    rows["order_id"] %= 300
    books = option_books.OptionBooks(IDS, IDS[:0], window_end, windows_per_block=1)
    blocks = [*books.process(MboColumns.from_records(rows)), *books.finish()]
    assert quotes_of(blocks) == plain_quotes(rows, window_end)


def check_values() -> None:
    """The two loops for callers outside the chain: prices give back their volatilities, or say why not."""
    vol = np.array([0.12, 0.9, 0.12, 0.3, 0.3])
    right = np.array([0, 1, 0, 1, 0], np.int8)
    forward, years = np.full(5, 6_900.0), np.array([1e-3, 0.3, 1e-3, 0.1, 0.1])
    strike = np.array([6_905.0, 6_800.0, 6_890.0, 6_950.0, 6_900.0])
    table = np.empty((5, 4))
    black76.values(right, forward, strike, years, vol, 0.05, table)
    mid = table[:, 0].copy()
    mid[3], mid[4] = 0.01, 1e6  # below intrinsic, above anything
    found, status = np.empty(5), np.empty(5, np.int8)
    black76.implied_vols(right, mid, forward, strike, years, 0.05, 1.2 * vol, found, status)
    assert status.tolist() == [black76.SOLVED] * 3 + [black76.BELOW_INTRINSIC, black76.NO_ROOT]
    assert np.allclose(found[:3], vol[:3], rtol=1e-9)
    # at the money the smallest volatility is worth more; far from it nothing is left at the first guess
    assert black76.implied_total_vol(1e-9, 0.0, 1e-6, 5.0, -1.0)[0] == -1.0
    half = float(np.exp(-0.5))
    s, _ = black76.implied_total_vol(1e-30, -1.0, 1e-6, 5.0, 1e-3)
    assert abs(np.log(black76.scaled_value(-1.0, half, s)) - np.log(1e-30)) < 1e-8


def main() -> None:
    assert numba.config.DISABLE_JIT, "start this with NUMBA_DISABLE_JIT=1"
    # hashes multiply modulo 2**64; loops for vector units also compute what nobody asked for
    np.seterr(over="ignore", divide="ignore", invalid="ignore")
    option_books.FIRST_ORDERS = 4
    option_books.AHEAD = 3
    option_book.drive, option_book.rehash = by_name(option_book.drive), by_name(option_book.rehash)
    gex.solve = by_name(gex.solve)
    sys.settrace(trace)
    check_growth()
    check_shards()
    check_values()
    check_gamma_that_turns()
    check_nearly_touching()
    check_exact_zeros()
    check_refused_records()
    check_quiet_ends()
    check_generated_cases()
    sys.settrace(None)
    lines, missed = 0, {}
    for module in MODULES:
        name = module.__name__.rsplit(".", 1)[1]
        source = Path(str(module.__file__)).read_text(encoding="utf-8").splitlines()
        wanted = {
            (name, function, line)
            for function, code in kernel_functions(module)
            for _, line in dis.findlinestarts(code)
            if line is not None and line > code.co_firstlineno
        }
        lines += len(wanted)
        for _, function, line in sorted(wanted - seen):
            missed.setdefault(f"{name}.{function}", []).append(source[line - 1].strip())
    sys.stdout.write(json.dumps({"cases": cases, "lines": lines, "missed": missed}) + "\n")


if __name__ == "__main__":
    main()
