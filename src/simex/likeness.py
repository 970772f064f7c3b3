"""How like the real feed a simulated hour is: the acceptance table of exchange.md B9, with plots.

    python -m simex.likeness --real FILE --out docs/simex.md

measures the real hour (ESH4, 2023-12-25 23:00-24:00 UTC) and a simulated hour at the same scale with one and
the same function, and writes the page. The text around the table is in `likeness_page.md` beside this module.
"""

from __future__ import annotations

import argparse
import datetime as dt
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import zstandard

from simex import futures_kernel as k
from simex import laws, plan
from simex.feed import ESH6, RECORD, SECOND_NS, records_of
from simex.futures import Market, MarketPlan

Records = npt.NDArray[Any]
HOUR_START_S: Final = 2 * 3600
NIGHT_FACTOR: Final = 0.82
"""the plan of 02:00 UTC has 20 records per second, the real hour 16.4"""
SEEDS: Final = (7, 8, 9)


@dataclass(frozen=True)
class Check:
    """One line of B9."""

    name: str
    key: str
    low: float
    high: float
    digits: int = 2


CHECKS: Final = (
    Check("A, share of records, %", "mix_A", 30.9, 36.9, 1),
    Check("C, %", "mix_C", 27.0, 33.0, 1),
    Check("M, %", "mix_M", 17.3, 23.3, 1),
    Check("T, %", "mix_T", 2.0, 8.0, 1),
    Check("F, %", "mix_F", 7.8, 13.8, 1),
    Check("P(single-record event)", "single", 0.92, 0.96, 3),
    Check("F per T", "f_per_t", 1.8, 2.5),
    Check("P(add size 1)", "add_one", 0.70, 0.80, 3),
    Check("adds at touch", "add_touch", 0.50, 0.60, 3),
    Check("lifetime add -> cancel, first quartile, s", "life_25", 0.125, 0.5),
    Check("lifetime, median, s", "life_50", 1.55, 6.2),
    Check("lifetime, third quartile, s", "life_75", 13.0, 52.0, 1),
    Check("P(inter-arrival < 100 us)", "gap_100us", 0.35, 0.50, 3),
    Check("P(inter-arrival < 1 ms)", "gap_1ms", 0.6, 0.8, 3),
    Check("Fano factor, 1 s counts", "fano_1s", 30.0, 80.0, 1),
    Check("trade sign ACF, lag 1", "sign_acf", 0.3, 0.5),
    Check("share of time with a spread of 1 tick", "spread_1", 0.9, 1.0, 3),
    Check("mean size at the bid touch", "touch_bid", 15.0, 45.0, 1),
    Check("mean size at the ask touch", "touch_ask", 15.0, 45.0, 1),
    Check("first T at the opposite touch", "first_t", 1.0, 1.0, 4),
    Check("unknown ids outside auctions", "unknown", 0.0, 0.0, 0),
    Check("crossings at event ends", "crossed", 0.0, 0.0, 0),
)
ALSO: Final = (
    ("records per second", "rate", 1),
    ("trade sign ACF, lag 2", "sign_acf_2", 2),
    ("trade sign ACF, lag 5", "sign_acf_5", 2),
    ("Fano factor, 10 ms", "fano_10ms", 1),
    ("Fano factor, 0.1 s", "fano_100ms", 1),
    ("Fano factor, 10 s", "fano_10s", 1),
    ("std of 1 s mid changes, points", "mid_std", 3),
    ("share of 1 s mid changes that are 0", "mid_zero", 3),
    ("adds 20 or more ticks behind the touch", "add_far", 3),
    ("adds inside the spread", "add_inside", 3),
    ("aggressor size 1", "trade_one", 3),
    ("median of ts_recv - ts_event, us", "latency_us", 0),
    ("resting orders at the end", "resting", 0),
)


def read_records(path: Path) -> Records:
    """MBO records of a DBN file."""
    with path.open("rb") as file:
        data = zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True).read()
    return np.frombuffer(data, dtype=RECORD, offset=8 + int.from_bytes(data[4:8], "little"))


def simulated_hour(seed: int) -> Records:
    """An hour of the front contract at night scale, without plants or decoys, its snapshot first."""
    span = plan.Span(dt.date(2026, 1, 6), HOUR_START_S, HOUR_START_S + 3600)
    warm = 120
    rates = plan.rates(span, seed, 0, warm_s=warm, factor=NIGHT_FACTOR)
    begin = span.start_ns - warm * SECOND_NS
    script = np.zeros((0, k.S_FIELDS), dtype=np.int64)
    market_plan = MarketPlan(begin, span.start_ns, span.end_ns, rates, script, (), k.PHASE_OPEN)
    market = Market(ESH6, market_plan, seed, 0, laws.tables(), logging=False)
    market.warm_up()
    parts = [market.snapshot("modern", span.start_ns)]
    parts += [chunk.words for chunk in market.play(span.end_ns)]
    return records_of(np.concatenate(parts))


class _Book:
    """Orders and levels in dicts; best prices by search from the last one."""

    def __init__(self, tick: int) -> None:
        self.orders: dict[int, tuple[int, int, int]] = {}
        self.levels: tuple[dict[int, int], dict[int, int]] = ({}, {})
        self.best = [0, 2**62]
        self._tick = tick

    def add(self, order: int, side: int, price: int, size: int) -> None:
        self.orders[order] = (side, price, size)
        levels = self.levels[side]
        levels[price] = levels.get(price, 0) + size
        if side == 0:
            self.best[0] = max(self.best[0], price)
        else:
            self.best[1] = min(self.best[1], price)

    def remove(self, order: int) -> tuple[int, int, int]:
        side, price, size = self.orders.pop(order)
        levels = self.levels[side]
        levels[price] -= size
        if levels[price] <= 0:
            del levels[price]
            if price == self.best[side]:
                self.best[side] = (max(levels, default=0)) if side == 0 else min(levels, default=2**62)
        return side, price, size


def measure(records: Records, tick: int = 250_000_000) -> dict[str, float]:
    """All figures of the page, from the first trade on (so that a pre-open does not count)."""
    book = _Book(tick)
    out: dict[str, float] = defaultdict(float)
    born: dict[int, int] = {}
    lives: list[int] = []
    event_ts: list[int] = []
    event_len: list[int] = []
    signs: list[int] = []
    mids: dict[int, float] = {}
    distance: dict[str, int] = defaultdict(int)
    time_one = time_all = 0
    touch = [0.0, 0.0]
    last_ts = 0
    started = False
    length = 0
    quote = (0, 2**62)
    filled: set[int] = set()
    trade_seen = auction = False
    plain = records[(records["flags"] & 32) == 0]
    opened = plain["ts_event"][plain["action"] == ord("T")]
    start = int(opened[0]) if len(opened) else 0
    for r in records.tolist():
        ts, order, price, size, flags, action, side_code = (
            r[4],
            r[5],
            r[6],
            r[7],
            r[8],
            chr(r[10]),
            chr(r[11]),
        )
        side = 0 if side_code == "B" else 1
        if flags & 32:
            if action == "A":
                book.add(order, side, price, size)
            continue
        if not started and ts >= start:
            started = True
            last_ts = ts
        if length == 0:
            quote = (book.best[0], book.best[1])
            filled.clear()
            trade_seen = auction = False
            if started and not auction:
                gap = ts - last_ts
                if quote[0] < quote[1]:
                    time_all += gap
                    time_one += gap if quote[1] - quote[0] == tick else 0
                    for s in (0, 1):
                        touch[s] += gap * book.levels[s].get(quote[s], 0)
                for second in range(last_ts // SECOND_NS + 1, ts // SECOND_NS + 1):
                    mids[second] = (quote[0] + quote[1]) / 2e9
            last_ts = ts
        length += 1
        if action == "A":
            if started:
                out["adds"] += 1
                out["add_one"] += size == 1
                d = (quote[0] - price if side == 0 else price - quote[1]) // tick
                distance["inside" if d < 0 else "touch" if d == 0 else "far" if d >= 20 else "near"] += 1
                born[order] = ts
            book.add(order, side, price, size)
        elif action == "C":
            if order in book.orders:
                book.remove(order)
                if order in born and order not in filled:
                    lives.append(ts - born[order])
            elif started and not auction:
                out["unknown"] += 1
        elif action == "M":
            if order in book.orders:
                own = book.remove(order)[0]
                book.add(order, own, price, size)
            elif started and not auction:
                out["unknown"] += 1
        elif action == "T":
            auction = auction or side_code == "N"
            if not trade_seen and side_code != "N":
                out["trade_events"] += 1
                out["first_t"] += price == (quote[1] if side == 0 else quote[0])
                signs.append(1 if side == 0 else -1)
            trade_seen = True
            out["trade_one"] += size == 1
        elif action == "F":
            filled.add(order)
        if started:
            out["mix_" + action] += 1
        if flags & 128:
            if started:
                event_ts.append(ts)
                event_len.append(length)
                if not auction and book.best[0] >= book.best[1]:
                    out["crossed"] += 1
            length = 0
    ts_array = np.array(event_ts, dtype=np.int64)
    gaps = np.diff(ts_array)
    total = sum(out["mix_" + action] for action in "ACMTF")
    trades = out["mix_T"]
    result = {f"mix_{action}": 100.0 * out["mix_" + action] / total for action in "ACMTF"}
    result["single"] = float((np.array(event_len) == 1).mean())
    result["f_per_t"] = out["mix_F"] / trades
    result["add_one"] = out["add_one"] / out["adds"]
    adds = sum(distance.values())
    result["add_touch"] = distance["touch"] / adds
    result["add_inside"] = distance["inside"] / adds
    result["add_far"] = distance["far"] / adds
    for q in (25, 50, 75):
        result[f"life_{q}"] = float(np.percentile(lives, q)) / SECOND_NS
    result["gap_100us"] = float((gaps < 100_000).mean())
    result["gap_1ms"] = float((gaps < 1_000_000).mean())
    for name, width in (("10ms", 10**7), ("100ms", 10**8), ("1s", 10**9), ("10s", 10**10)):
        result[f"fano_{name}"] = fano(ts_array, width)
    for lag, name in ((1, "sign_acf"), (2, "sign_acf_2"), (5, "sign_acf_5")):
        result[name] = autocorrelation(np.array(signs, dtype=np.float64), lag)
    result["spread_1"] = time_one / time_all
    result["touch_bid"], result["touch_ask"] = touch[0] / time_all, touch[1] / time_all
    result["first_t"] = out["first_t"] / out["trade_events"]
    result["unknown"], result["crossed"] = out["unknown"], out["crossed"]
    changes = np.diff([mids[s] for s in sorted(mids)])
    result["mid_std"], result["mid_zero"] = float(changes.std()), float((changes == 0).mean())
    result["trade_one"] = out["trade_one"] / trades
    result["rate"] = total / ((ts_array[-1] - ts_array[0]) / SECOND_NS)
    body = plain[plain["ts_event"] >= start]
    result["latency_us"] = (
        float(np.median(body["ts_recv"].astype(np.int64) - body["ts_event"].astype(np.int64))) / 1e3
    )
    result["resting"] = float(len(book.orders))
    return result


def fano(ts_ns: npt.NDArray[np.int64], width_ns: int) -> float:
    """Variance over mean of the number of events per interval."""
    counts = np.bincount((ts_ns - ts_ns[0]) // width_ns)
    return float(counts.var() / counts.mean())


def autocorrelation(x: npt.NDArray[np.float64], lag: int) -> float:
    """Correlation of x with itself `lag` steps later."""
    centred = x - x.mean()
    return float((centred[:-lag] * centred[lag:]).mean() / centred.var())


def _figures(records: Records) -> dict[str, npt.NDArray[Any]]:
    """Series for the plots, from the first trade on."""
    plain = records[(records["flags"] & 32) == 0]
    first = plain["ts_event"][plain["action"] == ord("T")][0]
    plain = plain[plain["ts_event"] >= first]
    ends = plain[(plain["flags"] & 128) > 0]["ts_event"].astype(np.int64)
    trades = plain[(plain["action"] == ord("T")) & (plain["side"] != ord("N"))]
    return {
        "gaps": np.diff(ends),
        "counts": np.bincount((ends - ends[0]) // SECOND_NS, minlength=3600)[:3600],
        "trade_t": (trades["ts_event"].astype(np.int64) - int(first)) / 6e10,
        "trade_p": trades["price"] * 1e-9,
        "sizes": plain[plain["action"] == ord("A")]["size"],
    }


def plot(real: Records, simulated: Records, path: Path) -> None:
    """Four panels: inter-arrival times, events per second, trade prices, sizes of new orders."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(2, 2, figsize=(11, 7))
    edges = np.logspace(2.5, 10, 60)
    sizes = np.arange(1, 40)
    for name, records, colour in (("real", real, "#1f77b4"), ("simulated", simulated, "#d62728")):
        data = _figures(records)
        axes[0, 0].hist(data["gaps"], bins=edges, histtype="step", density=False, label=name, color=colour)
        counts = np.sort(data["counts"])[::-1]
        axes[0, 1].plot(np.arange(1, len(counts) + 1), np.maximum(counts, 0.5), label=name, color=colour)
        price = data["trade_p"] - data["trade_p"][0]
        axes[1, 0].plot(data["trade_t"], price, lw=0.8, label=name, color=colour)
        share = np.array([(data["sizes"] >= size).mean() for size in sizes])
        axes[1, 1].plot(sizes, share, label=name, color=colour)
    axes[0, 0].set(xscale="log", title="time between events", xlabel="ns", ylabel="events")
    axes[0, 1].set(
        xscale="log",
        yscale="log",
        title="events per second, ranked",
        xlabel="rank of the second",
        ylabel="events",
    )
    axes[1, 0].set(title="trade price since the first trade", xlabel="minutes", ylabel="points")
    axes[1, 1].set(
        xscale="log",
        yscale="log",
        title="size of new orders",
        xlabel="lots",
        ylabel="share at least as large",
    )
    for axis in axes.flat:
        axis.legend(fontsize=8)
        axis.grid(alpha=0.3)
    figure.tight_layout()
    figure.savefig(path, dpi=80, metadata={"Software": None})
    plt.close(figure)


def table(real: dict[str, float], hours: list[dict[str, float]]) -> str:
    """Markdown: range, real and simulated figures, verdict per line of B9; then figures without a range."""
    heads = " | ".join(f"seed {seed}" for seed in SEEDS)
    lines = [f"| Statistic | Range | Real hour | {heads} | Holds |", "|---" * (4 + len(SEEDS)) + "|"]
    for check in CHECKS:
        values = [hour[check.key] for hour in hours]
        holds = all(check.low <= value <= check.high for value in values)
        shown = " | ".join(f"{value:.{check.digits}f}" for value in values)
        lines.append(
            f"| {check.name} | {check.low:g} - {check.high:g} | {real[check.key]:.{check.digits}f} | {shown} "
            f"| {'yes' if holds else '**no**'} |"
        )
    lines += [
        "",
        "Without a range, for information:",
        "",
        f"| Statistic | Real hour | {heads} |",
        "|---" * (2 + len(SEEDS)) + "|",
    ]
    for name, key, digits in ALSO:
        shown = " | ".join(f"{hour[key]:.{digits}f}" for hour in hours)
        lines.append(f"| {name} | {real[key]:.{digits}f} | {shown} |")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m simex.likeness", description=(__doc__ or "").split("\n", maxsplit=1)[0]
    )
    parser.add_argument("--real", type=Path, required=True, help="the real ESH4 file of 2023-12-25")
    parser.add_argument(
        "--out", type=Path, default=Path("docs/simex.md"), help="page to write; the plot goes beside it"
    )
    given = parser.parse_args(arguments)
    if not given.real.is_file():
        parser.error(f"{given.real} is not there: --real names the ESH4 MBO file of 2023-12-25")
    real_records = read_records(given.real)
    records = [simulated_hour(seed) for seed in SEEDS]
    hours = [measure(hour) for hour in records]
    text = (Path(__file__).parent / "likeness_page.md").read_text()
    picture = given.out.with_name(given.out.stem + "_likeness.png")
    plot(real_records, records[0], picture)
    text = text.replace("{{table}}", table(measure(real_records), hours)).replace("{{picture}}", picture.name)
    given.out.write_text(text)
    failed = [
        check.name
        for check in CHECKS
        if not all(check.low <= hour[check.key] <= check.high for hour in hours)
    ]
    if failed:
        raise SystemExit(f"wrote {given.out}; outside its range: {', '.join(failed)}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
