"""The 0DTE chain of a day: contracts, open interest, the model's path, and the kernel's driver."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from simex import black76, laws
from simex import options_kernel as k
from simex.feed import (
    ESH6,
    F_BAD_TS_RECV,
    F_LAST,
    F_SNAPSHOT,
    MULTIPLIER,
    PRICE_SCALE,
    SECOND_NS,
    UNDEF_PRICE,
    Words,
    blank,
    word0,
    words_of,
)
from simex.plan import Span
from simex.reference import OptionContract, month_code, option_root
from simex.truth import int_column, words_column

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

RATE: Final = 0.05
VOL_START: Final = 0.11
SMILE_SLOPE: Final = -0.02
SMILE_CURVE: Final = 0.006
VOL_FLOOR: Final = 0.03
VOL_UNCERTAINTY: Final = 0.01
FUTURES_HALF_SPREAD: Final = 0.125
VOL_JUMP: Final = 0.02
EXPIRY_S: Final = 21 * 3600
GEX_WINDOWS: Final = 600
DRAWS: Final = 1 << 17
ORDER_ID_BASE: Final = 700_000_000_000


def strikes_of(preset: str) -> list[int]:
    """Strikes in points: the nearest ones to the opening price, or the real grid of exchange.md A4."""
    centre = ESH6.centre_price_int // PRICE_SCALE
    if preset == "tiny":
        return [centre + 5 * i for i in range(-5, 6)]
    if preset == "small":
        return [centre + 5 * i for i in range(-20, 21)]
    grid = {100, 2100, 10_100}
    for low, high, step in (
        (4100, 4800, 100), (4800, 5500, 50), (5500, 5800, 25), (5800, 6200, 10), (6125, 6195, 10),
        (6200, 7325, 5), (7325, 7350, 25), (7350, 7700, 50), (7700, 8400, 100),
    ):  # fmt: skip
        grid |= set(range(low, high + 1, step))
    return sorted(grid)


@dataclass(frozen=True)
class Chain:
    """Contracts of the option file; kind is KIND_CHAIN, KIND_OTHER_EXPIRY or KIND_SPREAD of the kernel."""

    contracts: tuple[OptionContract, ...]
    kinds: tuple[int, ...]
    open_interest: tuple[int | None, ...]
    """published first; None: no message at all"""
    corrected: tuple[int | None, ...]
    """published later; None: stays"""


def build_chain(span: Span, preset: str, seed: int) -> Chain:
    """Contracts with shuffled, scattered ids, decoys among them, and their open interest (B4, B5)."""
    root, week = option_root(span.date)
    other, other_week = option_root(span.date + _days(_ahead(span.date)))
    expiry = span.midnight_ns + EXPIRY_S * SECOND_NS
    code = month_code(span.date)
    strikes = strikes_of(preset)
    raw = np.random.PCG64(np.random.SeedSequence([seed, 0x0711])).random_raw(16 * len(strikes) + 4096)
    words = iter((raw >> np.uint64(32)).astype(np.int64).tolist())
    rows: list[tuple[OptionContract, int, int | None, int | None]] = []
    total = 2 * len(strikes) + 6
    low, high = 42_237_548, 42_859_387
    step = (high - low) // total
    ids = [low + i * step + next(words) % max(step - 1, 1) for i in range(total)]
    for i in range(total - 1, 0, -1):
        j = next(words) % (i + 1)
        ids[i], ids[j] = ids[j], ids[i]
    centre = ESH6.centre_price_int // PRICE_SCALE
    spike = strikes[len(strikes) // 2 + 2]
    for strike in strikes:
        for right in "CP":
            contract = OptionContract(
                ids[len(rows)],
                f"{root}{code} {right}{strike}",
                root,
                right,
                strike * PRICE_SCALE,
                expiry,
                week,
            )
            u, v, w = next(words), next(words), next(words)
            near = laws.exp(-abs(strike - centre) / 60.0) if abs(strike - centre) < 1500 else 0.0
            round_strike = 6 if strike % 100 == 0 else 3 if strike % 50 == 0 else 1
            out_of_money = (right == "P") == (strike < centre)
            interest = (
                180.0 * near * (1.0 + 8.0 / (1 + u % 20)) * round_strike * (1.3 if out_of_money else 0.6)
            )
            figure: int | None = min(round(interest) + v % 40, 4_900)
            if strike == spike and right == "C":
                figure = 9_000
            elif u % 23 == 0:
                figure = 0
            elif u % 29 == 1:
                figure = None
            later = None if figure is None or w % 3 else figure + (w >> 8) % 25
            rows.append((contract, k.KIND_CHAIN, figure, later))
    for i, symbol in enumerate(("UD:1V: GN 3149671", "UD:1V: VT 3149702")):
        decoy = OptionContract(ids[len(rows)], symbol, "UD", "", 0, expiry, week)
        rows.append((decoy, k.KIND_SPREAD, None if i else 12, None))
    for strike, right in ((centre, "C"), (centre, "P"), (centre + 25, "C"), (centre - 25, "P")):
        later_expiry = expiry + _ahead(span.date) * 86_400 * SECOND_NS
        contract = OptionContract(
            ids[len(rows)], f"{other}{code} {right}{int(strike)}", other, right, int(strike) * PRICE_SCALE,
            later_expiry, other_week,
        )  # fmt: skip
        rows.append((contract, k.KIND_OTHER_EXPIRY, 400 + next(words) % 300, None))
    rows.sort(key=lambda row: (row[0].instrument_id * 2_654_435_761) & 0xFFFF)
    return Chain(*(tuple(column) for column in zip(*rows, strict=True)))


def _ahead(date: dt.date) -> int:
    """Days to the other expiry that serves as decoy."""
    return 1 if date.weekday() in (2, 3) else 3


def _days(n: int) -> dt.timedelta:
    return dt.timedelta(days=n)


@dataclass(frozen=True)
class ModelPath:
    """float64[steps, 3]: forward, volatility level and pull flag of each quarter second; the jump's time."""

    steps: Floats
    jump_ns: int
    jump: float


def model_path(span: Span, microprice: Ints, seed: int, preset: str) -> ModelPath:
    """The model's inputs: the future's microprice a step ago, and a volatility level with one planted jump.

    microprice int64[steps]: at the start of each step, 0 where the book is crossed or one-sided.
    """
    n = len(microprice)
    steps = np.zeros((n, 3), dtype=np.float64)
    forward = np.where(microprice > 0, microprice, 0)
    known = np.maximum.accumulate(np.where(forward > 0, np.arange(n), 0))
    forward = forward[known]
    forward[forward == 0] = ESH6.centre_price_int
    steps[:, 0] = forward * 1e-9
    raw = np.random.PCG64(np.random.SeedSequence([seed, 0x0712])).random_raw(n // 4 + 2) >> np.uint64(54)
    shocks = laws.normal_table(0.0, 65_536.0)[raw.astype(np.int64)].tolist()
    level = 0.0
    levels: list[float] = []
    for shock in shocks:
        level += -level / 600.0 + shock / 65_536.0 * 0.0002
        levels.append(VOL_START + level)
    steps[:, 1] = np.repeat(np.array(levels), 4)[:n]
    jump_s = int((span.end_s - span.start_s) * 0.55)
    steps[4 * jump_s :, 1] += VOL_JUMP
    steps[4 * jump_s : 4 * jump_s + 2, 2] = 1.0
    if preset == "session":
        for release in (13 * 3600 + 1800, 15 * 3600):
            at = 4 * (release - span.start_s)
            if 0 <= at < n - 40:
                steps[at : at + 8, 2] = 1.0
    return ModelPath(steps, span.start_ns + jump_s * SECOND_NS, VOL_JUMP)


class OptionMarket:
    """The chain's exchange: `snapshot` first, then `play` yields record words."""

    def __init__(self, chain: Chain, path: ModelPath, span: Span, preset: str, seed: int) -> None:
        self.chain = chain
        self._span = span
        n = len(chain.contracts)
        self._steps = path.steps
        self._instruments = np.zeros((n, k.I_FIELDS), dtype=np.int64)
        for i, (contract, kind) in enumerate(zip(chain.contracts, chain.kinds, strict=True)):
            self._instruments[i] = (
                contract.instrument_id, word0(contract.instrument_id), kind, ORDER_ID_BASE + i % 5,
                contract.strike_int, 0 if contract.right == "C" else 1, contract.expiration_ns,
                chain.open_interest[i] or 0,
            )  # fmt: skip
        self._quotes = np.zeros((n * 2 * k.MAKERS, k.U_FIELDS), dtype=np.int64)
        self._model = np.zeros((n, k.M_FIELDS), dtype=np.float64)
        per_step = {"tiny": 0.25, "small": 0.5, "session": 0.75}[preset]
        x = self._x = np.zeros(k.X_SIZE, dtype=np.float64)
        x[[k.X_RATE, k.X_DSIGMA, k.X_FUTURES_HALF]] = RATE, VOL_UNCERTAINTY, FUTURES_HALF_SPREAD
        x[[k.X_SLOPE, k.X_CURVE, k.X_FLOOR]] = SMILE_SLOPE, SMILE_CURVE, VOL_FLOOR
        x[k.X_TRADES_PER_STEP] = per_step / (1.0 + per_step)
        self._weights = np.cumsum([(figure or 0) + 1 for figure in chain.open_interest]).astype(np.int64)
        self._tables = np.stack(
            [
                laws.exponential_table(),
                laws.lognormal_table(30_000.0, 1.1),
                laws.normal_table(15_300.0, 1_300.0),
                laws.discrete_table({0: 0.8, 1: 0.1, 2: 0.05, 4: 0.05}),
            ]
        )
        self._bits = [np.random.PCG64(np.random.SeedSequence([seed, 0x0713, c])) for c in range(k.CLASSES)]
        self._draws = np.zeros((k.CLASSES, DRAWS), dtype=np.int64)
        self._g = np.zeros(16, dtype=np.int64)
        self._g[k.G_DRAW : k.G_DRAW + k.CLASSES] = DRAWS
        self._g[k.G_SEQ] = 5_000_000
        self._refill()
        self._records = np.zeros((max(1 << 17, 64 * n), 7), dtype=np.int64)
        seconds = len(path.steps) // 4
        self.windows = np.arange(1, seconds + 1)
        if preset == "session":
            raw = np.random.PCG64(np.random.SeedSequence([seed, 0x0714])).random_raw(4 * GEX_WINDOWS)
            self.windows = np.unique((raw % np.uint64(seconds)).astype(np.int64) + 1)[:GEX_WINDOWS]
        self._wanted = np.full(len(path.steps), -1, dtype=np.int64)
        self._wanted[self.windows * 4 - 1] = np.arange(len(self.windows))
        self.truth = np.zeros((len(self.windows), n, k.TRUTH_FIELDS), dtype=np.float64)
        first = path.steps[0]
        k.price_all(self._instruments, self._model, first[0], first[1], span.start_ns, self._x)
        k.open_quotes(self._g, self._instruments, self._quotes, self._model, self._draws, span.start_ns)

    def _refill(self) -> None:
        for c in range(k.CLASSES):
            used = int(self._g[k.G_DRAW + c])
            left = DRAWS - used
            self._draws[c, :left] = self._draws[c, used:].copy()
            self._draws[c, left:] = (self._bits[c].random_raw(used) >> np.uint64(32)).astype(np.int64)
            self._g[k.G_DRAW + c] = 0

    def snapshot(self, layout: str) -> Words:
        """Opening book, one snapshot per instrument in the layout of the futures file."""
        modern = layout == "modern"
        ts_recv = self._span.start_ns
        parts = []
        for i, contract in enumerate(self.chain.contracts):
            rows = np.arange(i * 6, i * 6 + 6)
            quotes = self._quotes[rows]
            side = (rows // k.MAKERS) & 1
            live = quotes[:, k.U_PRICE] > 0
            quotes, side = quotes[live], side[live]
            toward = np.where(side == 0, -quotes[:, k.U_PRICE], quotes[:, k.U_PRICE])
            order = (
                np.argsort(quotes[:, k.U_T], kind="stable")
                if modern
                else np.lexsort((quotes[:, k.U_T], toward, side))
            )
            quotes, side = quotes[order], side[order]
            out = blank(len(quotes) + modern, contract.instrument_id, k.CHANNEL)
            body = out[1:] if modern else out
            body["action"] = ord("A")
            body["side"] = np.where(side == 0, ord("B"), ord("A"))
            body["price"] = quotes[:, k.U_PRICE] * k.NICKEL_INT
            body["size"] = quotes[:, k.U_SIZE]
            body["order_id"] = quotes[:, k.U_ID]
            body["ts_event"] = quotes[:, k.U_T] if modern else ts_recv - 10 * 3_600 * SECOND_NS
            body["sequence"] = 4_000_000 + i
            if modern:
                out[0]["action"], out[0]["side"] = ord("R"), ord("N")
                out[0]["price"], out[0]["ts_event"] = UNDEF_PRICE, ts_recv
            out["ts_recv"] = ts_recv
            out["flags"] = F_SNAPSHOT | F_BAD_TS_RECV
            if layout != "legacy" and len(out):
                out[-1]["flags"] |= F_LAST
            parts.append(out)
        return words_of(np.concatenate(parts))

    def play(self) -> Iterator[Words]:
        """Yields the records of the whole span in time order."""
        while True:
            status = k.run(
                self._g, self._instruments, self._quotes, self._model, self._draws, self._tables, self._steps,
                self._x, self._weights, self._span.start_ns, len(self._steps), self._records, self._wanted,
                self.truth,
            )  # fmt: skip
            if status == k.NEED_DRAWS:
                self._refill()
                continue
            n = int(self._g[k.G_N])
            self._g[k.G_N] = 0
            yield self._records[:n].copy()
            if status == k.DONE:
                return


def write_truth(
    folder: Path,
    market: OptionMarket,
    span: Span,
    announcements: list[tuple[int, int, int]],
    spots: dict[int, int],
) -> None:
    """truth_iv_1s, truth_oi and truth_gex_1s.

    announcements: (instrument_id, ts_recv_ns, open interest) in order of arrival; spots: window end -> spot
    price in 1e-9 by the spot rule, 0 where there is none.
    """
    chain = market.chain
    real = [i for i, kind in enumerate(chain.kinds) if kind == k.KIND_CHAIN]
    contracts = [chain.contracts[i] for i in real]
    ends = span.start_ns + market.windows * SECOND_NS
    truth = market.truth[:, real, :]
    n_w, n_i = len(ends), len(real)
    schema = (
        "forward_points",
        "tau_years",
        "sigma",
        "theo",
        "bid",
        "ask",
        "bid_qty",
        "ask_qty",
        "delta",
        "gamma",
        "vega",
    )
    columns: dict[str, Any] = {
        "window_end_ts_ns": np.repeat(ends, n_i),
        "instrument_id": np.tile([c.instrument_id for c in contracts], n_w),
        "strike_price_int": np.tile([c.strike_int for c in contracts], n_w),
        "right": words_column(np.tile([c.right == "P" for c in contracts], n_w), ("C", "P")),
    }
    columns |= {name: truth[:, :, j].reshape(-1) for j, name in enumerate(schema)}
    columns["model_ts_ns"] = truth[:, :, 11].reshape(-1).astype(np.int64)
    columns |= {name: truth[:, :, j].reshape(-1) for name, j in (("mid", 12), ("mid_age_s", 13))}
    columns = {
        name: column if isinstance(column, pa.Array) else pa.array(column) for name, column in columns.items()
    }
    pq.write_table(pa.table(columns), folder / "truth_iv_1s.parquet", compression="zstd")
    pq.write_table(
        pa.table(
            {
                name: int_column([a[j] for a in announcements])
                for j, name in enumerate(("instrument_id", "ts_recv_ns", "open_interest"))
            }
        ),
        folder / "truth_oi.parquet",
        compression="zstd",
    )
    rows = gex_rows(contracts, ends.tolist(), truth, announcements, spots)
    names = (
        "window_end_ts_ns",
        "strike_price_int",
        "call",
        "put",
        "call_true_sigma",
        "put_true_sigma",
        "sigma_quotes",
    )
    table = {
        name: np.array([row[j] for row in rows], dtype=np.int64 if j < 2 else np.float64)
        for j, name in enumerate(names)
    }
    pq.write_table(pa.table(table), folder / "truth_gex_1s.parquet", compression="zstd")


def gex_rows(
    contracts: list[OptionContract],
    ends: list[int],
    truth: Floats,
    announcements: list[tuple[int, int, int]],
    spots: dict[int, int],
) -> list[tuple[int, int, float, float, float, float, float]]:
    """Gamma exposure per window and strike by plain scalars: sum of gamma * open interest * 50.

    One volatility per strike, from the out-of-the-money option (call if K >= F), else from the other. Only
    options with open interest above 0 take part. Strikes within 200 points of spot. While an option lacks a
    side, its last middle of a second's end counts for 60 s.
    """
    by_strike: dict[int, dict[str, int]] = {}
    for i, contract in enumerate(contracts):
        by_strike.setdefault(contract.strike_int, {})[contract.right] = i
    guesses: dict[int, float] = {}
    rows = []
    interest: dict[int, int] = {}
    pending = sorted(announcements, key=lambda a: a[1])
    at = 0
    for w, end in enumerate(ends):
        while at < len(pending) and pending[at][1] < end:
            interest[pending[at][0]] = pending[at][2]
            at += 1
        spot_int = spots.get(end, 0)
        if spot_int <= 0:
            continue
        forward = spot_int * 1e-9
        for strike_int in sorted(by_strike):
            if abs(strike_int - spot_int) > 200 * PRICE_SCALE:
                continue
            pair = by_strike[strike_int]
            strike = strike_int * 1e-9
            tau = (contracts[pair["C"]].expiration_ns - end) / (86_400e9 * 365)
            lots = {right: interest.get(contracts[i].instrument_id, 0) for right, i in pair.items()}
            vol: float | None = None
            first = "C" if strike >= forward else "P"
            for right in (first, "P" if first == "C" else "C"):
                mid = float(truth[w, pair[right], 12])
                if vol is None and tau > 0.0 and lots[right] > 0 and mid > 0.0:
                    vol = black76.implied_vol(
                        right, mid, forward, strike, tau, RATE, guesses.get(strike_int, 0.15)
                    )
            unit = 0.0
            if vol is not None:
                guesses[strike_int] = vol
                unit = black76.gamma(forward, strike, tau, vol, RATE) * MULTIPLIER
            sigma = float(truth[w, pair["C"], 2])
            true = (
                black76.gamma(forward, strike, tau, sigma, RATE) * MULTIPLIER
                if tau > 0.0 and sigma > 0.0
                else 0.0
            )
            rows.append(
                (
                    end,
                    strike_int,
                    unit * lots["C"],
                    unit * lots["P"],
                    true * lots["C"],
                    true * lots["P"],
                    vol or 0.0,
                )
            )
    return rows
