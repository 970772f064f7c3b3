"""Day, profile, levels and explanation: against plain loops over the lake, and on days made for them."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_eng.lake import Lake
from data_eng.sessions import NEW_YORK, trade_date
from data_eng.units import HOUR_NS, UNDEF_PRICE, WINDOW_NS
from serving import day, explain, levels, profile
from serving.hud_streaming import HudCache
from serving.surfaces import SURFACES
from serving.trade_dates import dates_between, start_of_trade_date
from tests.serving.conftest import DT, SYMBOL

POINT = 1_000_000_000


def new_york(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=NEW_YORK).timestamp()) * WINDOW_NS


# ---- day


def plain_day(hud: list[dict[str, Any]], trades: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows once more, trade by trade."""
    rows, delta, lots, value, date = [], 0, 0, 0.0, None
    for window in hud:
        end = window["window_end_ts_ns"]
        if trade_date(end - WINDOW_NS) != date:
            date, delta, lots, value = trade_date(end - WINDOW_NS), 0, 0, 0.0
        mine = [
            t for t in trades if end - WINDOW_NS <= t["ts_event_ns"] < end and t["price_int"] != UNDEF_PRICE
        ]
        delta += window["buy_qty"] - window["sell_qty"]
        lots += sum(t["qty"] for t in mine)
        value += sum(t["qty"] * t["price_int"] / POINT for t in mine)
        prices = [t["price_int"] for t in mine] or [0]
        rows.append(
            {
                "high_price_int": max(prices),
                "low_price_int": min(prices),
                "cum_delta_qty": delta,
                "vwap": value / lots if lots else 0.0,
            }
        )
    return rows


def check_day(found: pa.Table, wanted: list[dict[str, Any]]) -> None:
    assert found.schema.equals(day.SCHEMA)
    for row, plain in zip(found.to_pylist(), wanted, strict=True):
        assert {name: row[name] for name in plain if name != "vwap"} == {
            name: plain[name] for name in plain if name != "vwap"
        }
        assert row["vwap"] == pytest.approx(plain["vwap"], rel=1e-12, abs=0)


def test_the_day_is_what_a_loop_over_the_trades_gives(cache: HudCache, tiny: Lake) -> None:
    hud = tiny.read(SURFACES["hud"].dataset, SYMBOL, DT, list(day.COPIED))
    trades = tiny.read(SURFACES["trade"].dataset, SYMBOL, DT, list(day.TRADE_COLUMNS))
    found = day.day_rows(cache)
    check_day(found, plain_day(hud.to_pylist(), trades.to_pylist()))
    for name in day.COPIED:
        assert found[name].combine_chunks().equals(hud[name].combine_chunks())
    assert found["cum_delta_qty"][-1].as_py() != 0


@st.composite
def small_days(draw: st.DrawFn) -> tuple[pa.Table, pa.Table]:
    """Windows around the roll of the trade date (23:00 UTC in winter), and trades on, around and off them."""
    count = draw(st.integers(1, 12))
    roll = 1_767_740_400 * WINDOW_NS
    first = roll + draw(st.integers(-12, 3)) * WINDOW_NS
    ends = [first + (k + 1) * WINDOW_NS for k in range(count)]
    lots = st.integers(0, 9)
    hud = {
        "window_end_ts_ns": ends,
        "buy_qty": [draw(lots) for _ in ends],
        "sell_qty": [draw(lots) for _ in ends],
    }
    blank = {f.name: [0] * count for f in day.SCHEMA if f.name in day.COPIED and f.name not in hud}
    blank["book_valid"] = blank["window_valid"] = [True] * count
    fields = [f for f in day.SCHEMA if f.name in day.COPIED]
    trade = st.tuples(
        st.integers(first - WINDOW_NS, ends[-1] + WINDOW_NS),
        st.one_of(st.integers(-5, 5).map(lambda n: n * 250_000_000), st.just(UNDEF_PRICE)),
        lots,
    )
    rows = draw(st.lists(trade, max_size=30))
    trades = pa.table(
        {
            "ts_event_ns": pa.array([r[0] for r in rows], pa.int64()),
            "price_int": pa.array([r[1] for r in rows], pa.int64()),
            "qty": pa.array([r[2] for r in rows], pa.int32()),
        }
    )
    return pa.table(hud | blank).select([f.name for f in fields]).cast(pa.schema(fields)), trades


@given(small_days())
def test_any_day_is_what_a_loop_gives(made: tuple[pa.Table, pa.Table]) -> None:
    hud, trades = made
    arrays = [{n: t[n].to_numpy() for n in t.schema.names} for t in (hud, trades)]
    check_day(day.day_table(*arrays), plain_day(hud.to_pylist(), trades.to_pylist()))


def test_a_day_without_trades_has_none() -> None:
    hud = {f.name: np.zeros(0, f.type.to_pandas_dtype()) for f in day.SCHEMA if f.name in day.COPIED}
    trades = {name: np.zeros(0, np.int64) for name in day.TRADE_COLUMNS}
    assert day.day_table(hud, trades).num_rows == 0


# ---- profile


def test_the_profile_counts_every_trade_once(cache: HudCache, tiny: Lake) -> None:
    trades = tiny.read(SURFACES["trade"].dataset, SYMBOL, DT).to_pylist()
    for seq in (0, 50, 119):
        end = cache.ts_ns(seq)
        found = profile.profile_of(tiny, cache, end)
        wanted: Counter[tuple[int, str]] = Counter()
        for trade in trades:
            if trade["ts_event_ns"] < end:
                wanted[trade["price_int"], trade["aggressor_side"]] += trade["qty"]
        rows = found.to_pylist()
        assert [row["price_int"] for row in rows] == sorted({price for price, _ in wanted})
        for row in rows:
            price = row["price_int"]
            told = (row["buy_qty"], row["sell_qty"], row["auction_qty"])
            assert told == tuple(wanted[price, side] for side in "BAN")
            assert row["total_qty"] == sum(told)
        (control,) = [row for row in rows if row["is_point_of_control"]]
        assert control["total_qty"] == max(row["total_qty"] for row in rows)
        about = {key.decode(): value.decode() for key, value in found.schema.metadata.items()}
        assert about["trade_date"] == DT
        assert about["start_ts_ns"] == str(new_york("2026-01-05T18:00"))
        assert about["from_ts_ns"] == str(cache.first_ts_ns - WINDOW_NS)
        assert about["complete"] == "false", "this lake begins in the middle of the trade date"


def test_a_profile_of_nothing_is_empty() -> None:
    nothing = pa.table(
        {
            "ts_event_ns": pa.array([], pa.int64()),
            "price_int": pa.array([], pa.int64()),
            "qty": pa.array([], pa.int32()),
            "aggressor_side": pa.array([], pa.string()),
        }
    )
    assert profile.profile_table(nothing).num_rows == 0


@given(st.integers(1_640_995_200, 1_798_761_600))
def test_a_trade_date_starts_where_the_one_before_ends(second: int) -> None:
    ts_ns = second * WINDOW_NS
    start = start_of_trade_date(ts_ns)
    assert start <= ts_ns
    assert trade_date(start) == trade_date(ts_ns) != trade_date(start - 1)
    assert start % HOUR_NS == 0


def test_a_range_touches_the_utc_dates_it_should() -> None:
    midnight = 1_767_657_600 * WINDOW_NS  # 2026-01-06
    assert dates_between(midnight, midnight + 1) == ["2026-01-06"]
    assert dates_between(midnight - 1, midnight + 1) == ["2026-01-05", "2026-01-06"]
    assert dates_between(midnight - 1, midnight) == ["2026-01-05"]


# ---- levels


class Trades:
    """A loaded day and a lake of days, as `levels` and `profile` ask them; nothing else."""

    def __init__(self, dt: str, days: dict[str, tuple[int, int, list[tuple[int, int]]]]) -> None:
        self.symbol, self.dt = "ESH6", dt
        self.days = days
        self.settlements: dict[str, list[dict[str, Any]]] = {}
        self.first_ts_ns, self.last_ts_ns = days[dt][0] + WINDOW_NS, days[dt][1]
        self.surfaces = {"trade": self}

    def columns(self, names: tuple[str, ...]) -> pa.Table:
        return self.read("", self.symbol, self.dt, names)

    def has(self, dataset: str, symbol: str, dt: str) -> bool:
        return dataset == levels.SETTLEMENTS and dt in self.settlements

    def read(self, dataset: str, symbol: str, dt: str, columns: Any = None) -> pa.Table:
        if dataset == levels.SETTLEMENTS:
            return pa.Table.from_pylist(self.settlements[dt])
        rows = self.days[dt][2]
        return pa.table(
            {
                "ts_event_ns": pa.array([ts for ts, _ in rows], pa.int64()),
                "price_int": pa.array([price for _, price in rows], pa.int64()),
            }
        )


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    """level id -> (price, reason) of made days."""

    def ask(dt: str, days: dict[str, tuple[int, int, list[tuple[int, int]]]]) -> dict[str, tuple[Any, Any]]:
        made = Trades(dt, days)

        def windows(_: Any, __: str, day_dt: str) -> tuple[int, int] | None:
            return days[day_dt][:2] if day_dt in days else None

        monkeypatch.setattr("serving.levels.windows_of", windows)
        monkeypatch.setattr("serving.trade_dates.windows_of", windows)
        document = levels.levels_of(made, made)  # type: ignore[arg-type]
        return {one["id"]: (one["price_int"], one["unavailable"]) for one in document["levels"]}

    return ask


def whole_day(dt: str, rows: list[tuple[str, int]]) -> tuple[int, int, list[tuple[int, int]]]:
    """[00:00, 24:00) UTC of a date with trades at New York times."""
    start = int(datetime.fromisoformat(f"{dt}T00:00+00:00").timestamp()) * WINDOW_NS
    return start, start + 24 * HOUR_NS, [(new_york(text), price * POINT) for text, price in rows]


def test_levels_of_whole_days(told: Any) -> None:
    days = {
        "2026-01-05": whole_day(
            "2026-01-05",
            [("2026-01-05T15:59:59", 6900), ("2026-01-05T16:00", 6999), ("2026-01-05T18:00", 6890),
             ("2026-01-05T17:59", 6000)],
        ),
        "2026-01-06": whole_day(
            "2026-01-06",
            [("2026-01-06T03:59:59", 6930), ("2026-01-06T04:00", 6905), ("2026-01-06T09:29:59", 6925),
             ("2026-01-06T09:30", 6950), ("2026-01-06T09:34:59", 6940), ("2026-01-06T09:35", 6960),
             ("2026-01-06T09:45", 6970), ("2026-01-06T10:00", 7000)],
        ),
    }  # fmt: skip
    found = {
        name: None if price is None else int(price) // POINT
        for name, (price, _) in told("2026-01-06", days).items()
    }
    assert found == {
        "prior_settlement": None,
        "prior_close": 6900,
        "overnight_high": 6930,
        "overnight_low": 6890,
        "premarket_high": 6925,
        "premarket_low": 6905,
        "opening_range_5_high": 6950,
        "opening_range_5_low": 6940,
        "opening_range_15_high": 6960,
        "opening_range_15_low": 6940,
        "opening_range_30_high": 6970,
        "opening_range_30_low": 6940,
    }


def test_no_level_is_made_from_half_its_time(told: Any) -> None:
    start, _, rows = whole_day("2026-01-06", [("2026-01-06T09:31", 6950)])
    cut = {"2026-01-06": (new_york("2026-01-06T09:29"), new_york("2026-01-06T09:40"), rows)}
    found = told("2026-01-06", cut)
    assert found["opening_range_5_high"] == (str(6950 * POINT), None)
    for name in ("opening_range_15_high", "overnight_low", "premarket_high"):
        assert found[name][0] is None
        assert "without a gap" in found[name][1]
    assert "no trades of ESH6 on 2026-01-05" in found["prior_close"][1]
    assert start < cut["2026-01-06"][0]


def test_nothing_traded_is_no_level(told: Any) -> None:
    found = told("2026-01-06", {"2026-01-06": whole_day("2026-01-06", [])})
    assert "nothing was traded" in found["premarket_high"][1]
    assert (
        "no trading day"
        in told("2026-01-04", {"2026-01-04": whole_day("2026-01-04", [])})["premarket_low"][1]
    )


def test_the_close_before_a_monday_is_fridays(told: Any) -> None:
    days = {
        "2026-01-09": whole_day("2026-01-09", [("2026-01-09T15:00", 6800)]),
        "2026-01-12": whole_day("2026-01-12", []),
    }
    assert told("2026-01-12", days)["prior_close"] == (str(6800 * POINT), None)


def settlement(day: str, received: str, points: int, symbol: str = "ESH6") -> dict[str, Any]:
    ref = int(datetime.fromisoformat(f"{day}T00:00+00:00").timestamp()) * WINDOW_NS
    at = new_york(received)
    return {"symbol": symbol, "ts_recv_ns": at, "ts_ref_ns": ref, "price_int": points * POINT}


def test_the_prior_settlement_is_the_last_one_received_of_the_trade_date_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("serving.levels.windows_of", lambda *_: None)
    made = Trades("2026-01-12", {"2026-01-12": whole_day("2026-01-12", [])})

    def prior() -> dict[str, Any]:
        return levels._prior_settlement(made, made)  # type: ignore[arg-type]

    assert "no statistics of 2026-01-09 or 2026-01-12" in prior()["unavailable"]
    made.settlements["2026-01-12"] = [
        settlement("2026-01-08", "2026-01-11T19:00", 6800),
        settlement("2026-01-12", "2026-01-12T16:15", 7100),
        settlement("2026-01-09", "2026-01-11T19:00", 7000, symbol="E2AF6 C7000"),
        {**settlement("2026-01-09", "2026-01-11T19:00", 7000), "ts_ref_ns": None},
    ]
    assert "no settlement of ESH6 for 2026-01-09" in prior()["unavailable"]
    corrected = settlement("2026-01-09", "2026-01-11T18:30", 6901)
    corrected["ts_recv_ns"] += 500
    made.settlements["2026-01-12"].append(corrected)
    made.settlements["2026-01-09"] = [settlement("2026-01-09", "2026-01-09T16:15", 6900)]
    found = prior()
    assert found["price_int"] == str(6901 * POINT), "the later message corrects the earlier one"
    assert found["known_from_ts_ns"] == str(new_york("2026-01-11T18:30:01")), "the window that holds it"
    assert found["source"] == "bronze.shared.settlements"


# ---- explanation


def test_terms_add_up_to_the_stored_score_and_levels_are_the_lakes(cache: HudCache, tiny: Lake) -> None:
    bands = tiny.read(SURFACES["physics"].dataset, SYMBOL, DT).to_pylist()
    wall = tiny.read(SURFACES["wall"].dataset, SYMBOL, DT)
    ends = wall["window_end_ts_ns"].to_numpy()
    for seq in range(0, cache.windows, 11):
        told = explain.explain_window(cache, seq)
        rows = wall.filter(pa.array(ends == cache.ts_ns(seq))).to_pylist()
        for direction, side, sign in (("above", "A", 1), ("below", "B", -1)):
            mine = told[direction]
            assert len(mine["terms"]) == 6
            assert sum(mine["terms"].values()) == pytest.approx(bands[seq][f"{direction}_score"], abs=1e-12)
            assert mine["score"] == bands[seq][f"{direction}_score"]
            wanted = {
                r["price_int"]: r["depth_qty_end"]
                for r in rows
                if r["side"] == side and 0 <= r["rel_ticks"] * sign <= 5
            }
            assert {int(r["price_int"]): r["depth_qty_end"] for r in mine["levels"]} == wanted
