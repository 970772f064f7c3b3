"""Option tables against what the exchange knows of its quotes, volatilities and open interest (B7)."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from data_eng.integrity.gex import check_gex
from simex import black76
from tests.dbn_samples import compressed
from tests.truth.days import DT, SYMBOL
from tests.truth.options import (
    BRONZE,
    GEX,
    PROFILE,
    QUOTES,
    OptionDay,
    definitions,
    gex_of,
    option_day,
    option_file,
)

pytestmark = pytest.mark.xdist_group("truth")  # one worker makes the days once

RATE = 0.05
SCALE = 1_000_000_000


@pytest.fixture(scope="session")
def tiny_chain(tmp_path_factory: pytest.TempPathFactory) -> OptionDay:
    """Two minutes over the cash open, 11 strikes."""
    return option_day(tmp_path_factory.mktemp("tiny_chain"))


@pytest.fixture(scope="session")
def small_chain(tmp_path_factory: pytest.TempPathFactory) -> OptionDay:
    """Half an hour, 41 strikes."""
    return option_day(tmp_path_factory.mktemp("small_chain"), "small")


@pytest.fixture(scope="session", params=["tiny_chain", "small_chain"])
def chain_day(request: pytest.FixtureRequest) -> OptionDay:
    """Each of the two days in turn."""
    chosen: OptionDay = request.getfixturevalue(request.param)
    return chosen


def quotes_with_truth(day: OptionDay) -> pl.DataFrame:
    """Rows of option_quote_1s beside the exchange's own; spot in points."""
    found = day.table(QUOTES)
    spots = day.table(GEX).select("window_end_ts_ns", "underlying_spot_ref").unique()
    both = found.join(day.truth("iv_1s"), on=["window_end_ts_ns", "instrument_id"], suffix="_truth")
    assert len(both) == len(found)
    return both.join(spots, on="window_end_ts_ns")


def test_every_quote_of_every_second_is_the_one_of_the_exchange(chain_day: OptionDay) -> None:
    rows = quotes_with_truth(chain_day)
    assert len(rows) >= 2_000
    for name in ("bid", "ask"):
        wanted = (rows[name] * SCALE).round(0).cast(pl.Int64)
        assert (rows[f"{name}_price_int"] == wanted).all()
        assert (rows[f"{name}_qty"].cast(pl.Int64) == rows[f"{name}_qty_truth"].cast(pl.Int64)).all()
    assert (rows["strike_price_int"] == rows["strike_price_int_truth"]).all()
    assert (rows["right"] == rows["right_truth"]).all()
    assert ((rows["seconds_to_expiry"] > 0) == (rows["tau_years"] > 0)).all()
    assert ((rows["mid_price"] - rows["mid"]).abs() <= 1e-12 * rows["mid"]).all()
    assert (rows["mid_age_s"] == rows["mid_age_s_truth"]).all()


def test_the_half_hour_has_quotes_with_one_side_whose_mid_is_carried(small_chain: OptionDay) -> None:
    rows = small_chain.table(QUOTES)
    assert ((rows["bid_qty"] == 0) & (rows["mid_age_s"] > 0) & (rows["mid_age_s"] <= 60)).sum() > 100
    assert ((rows["bid_qty"] == 0) & (rows["mid_price"] == 0)).sum() > 100, "and some for too long"


def test_open_interest_is_the_last_figure_that_was_published(chain_day: OptionDay) -> None:
    rows = chain_day.table(QUOTES).sort("window_end_ts_ns")
    published = chain_day.truth("oi").sort("ts_recv_ns").with_columns(at=pl.col("ts_recv_ns") + 1)
    both = rows.join_asof(
        published.with_columns(pl.col("instrument_id").cast(pl.UInt32)),
        left_on="window_end_ts_ns",
        right_on="at",
        by="instrument_id",
        suffix="_truth",
        check_sortedness=False,  # both are sorted, and per group it cannot be checked
    )
    wanted = both["open_interest_truth"].fill_null(0).cast(pl.Float64)
    assert (both["open_interest"] == wanted).all()
    assert (both["open_interest_ts_ns"] == both["ts_recv_ns"].fill_null(0)).all()
    per_option = rows.group_by("instrument_id").agg(pl.col("open_interest").n_unique())
    assert (per_option["open_interest"] > 1).any(), "no figure changed in mid-stream"
    assert (rows["open_interest"] == 0).any(), "no option is without open interest"
    assert 9_000 <= rows["open_interest"].max() < 9_100, "the planted spike"  # type: ignore[operator]


def test_exposure_equals_the_one_of_the_exchanges_own_quotes(chain_day: OptionDay) -> None:
    both = chain_day.table(GEX).join(
        chain_day.truth("gex_1s"), on=["window_end_ts_ns", "strike_price_int"], how="left"
    )
    chain = both.filter(pl.col("call").is_not_null())
    assert len(chain) >= 1_300
    for name in ("call", "put"):
        stored, wanted = chain[f"gex_{name}_abs"], chain[name]
        assert ((stored - wanted).abs() <= 1e-8 * wanted).all()
        assert (wanted > 0).sum() > 0.6 * len(chain)
    off_chain = both.filter(pl.col("call").is_null())
    assert len(off_chain) > 0
    assert (off_chain["gex_abs"] == 0).all()


def test_the_multiplier_is_the_fifty_of_the_definitions(chain_day: OptionDay) -> None:
    assert {d.unit_of_measure_qty for d in definitions(chain_day.raw) if d.strike_price < 2**62} == {
        50 * SCALE
    }
    rows = chain_day.table(QUOTES).filter(pl.col("reason") == "ok")
    exposure = rows.group_by("window_end_ts_ns", "strike_price_int").agg(
        wanted=(pl.col("gamma") * pl.col("open_interest")).sum() * 50
    )
    both = chain_day.table(GEX).join(exposure, on=["window_end_ts_ns", "strike_price_int"])
    assert len(both) > 1_000
    assert ((both["gex_abs"] - both["wanted"]).abs() <= 1e-12 * both["wanted"]).all()


# ---- against the true volatility --------------------------------------------------------------------------


def deciding_quotes(day: OptionDay, every: int) -> list[dict[str, Any]]:
    """Of every n-th second and each strike: the quote that gives the volatility, with the truth beside it.

    Out of the money by the spot, else the other; only options with open interest and two sides.
    """
    rows = quotes_with_truth(day).filter(
        (pl.col("window_end_ts_ns") // SCALE) % every == 0,
        pl.col("implied_vol").is_not_null(),
        pl.col("open_interest") > 0,
        (pl.col("bid") > 0) & (pl.col("bid") < pl.col("ask")),
    )
    call_first = pl.col("strike_price_int") / SCALE >= pl.col("underlying_spot_ref")
    ordered = rows.with_columns(second=(pl.col("right") == "C") != call_first).sort(
        "window_end_ts_ns", "strike_price_int", "second"
    )
    return ordered.unique(
        ["window_end_ts_ns", "strike_price_int"], keep="first", maintain_order=True
    ).to_dicts()


def uncertainty(row: dict[str, Any]) -> float:
    """Points that the quote leaves open: both half spreads and a tick, and what the last trade is off by.

    The makers quote around the microprice, the pipeline takes the last trade for the forward.
    """
    tick = 0.05 if row["mid_price"] < 10.0 else 0.25
    half = (abs(row["theo"] - row["bid"]) + abs(row["ask"] - row["theo"])) / 2.0
    off = row["underlying_spot_ref"] - row["forward_points"]
    return float(half + tick / 2.0 + abs(row["delta_truth"] * off) + row["gamma_truth"] * off * off)


def test_implied_vol_is_the_true_one_within_what_the_quote_leaves_open(chain_day: OptionDay) -> None:
    rows = deciding_quotes(chain_day, 1 if len(chain_day.table(QUOTES)) < 10_000 else 30)
    told = 0
    for row in rows:
        spot, strike = row["underlying_spot_ref"], row["strike_price_int"] / SCALE
        years = row["seconds_to_expiry"] / (86_400 * 365)
        open_points = uncertainty(row)
        true_price = black76.price(row["right"], spot, strike, years, row["sigma"], RATE)
        assert abs(true_price - row["mid_price"]) <= open_points, row
        if row["vega_truth"] >= 5.0:
            error = abs(row["implied_vol"] - row["sigma"])
            assert error <= 1.25 * open_points / row["vega_truth"], row
            told += 1
    assert told > 400


def test_exposure_is_the_true_one_within_the_gamma_error_of_the_volatility(chain_day: OptionDay) -> None:
    """Gamma of the true volatility lies among the gammas of all volatilities that the quote leaves open."""
    true = {
        (row["window_end_ts_ns"], row["strike_price_int"]): row
        for row in chain_day.truth("gex_1s").to_dicts()
    }
    stored = {
        (row["window_end_ts_ns"], row["strike_price_int"]): row
        for row in chain_day.table(GEX)
        .select("window_end_ts_ns", "strike_price_int", "gex_call_abs", "gex_put_abs")
        .to_dicts()
    }
    rows = deciding_quotes(chain_day, 2 if len(chain_day.table(QUOTES)) < 10_000 else 60)
    looked_at = 0
    for row in rows:
        key = row["window_end_ts_ns"], row["strike_price_int"]
        spot, strike = row["underlying_spot_ref"], row["strike_price_int"] / SCALE
        years = row["seconds_to_expiry"] / (86_400 * 365)
        ends = []
        for sign, otherwise in ((-1, 1e-3), (1, 5.0)):
            price = row["mid_price"] + sign * uncertainty(row)
            vol = black76.implied_vol(row["right"], price, spot, strike, years, RATE) if price > 0 else None
            ends.append(otherwise if vol is None else vol)
        among = [
            black76.gamma(spot, strike, years, vol, RATE)
            for vol in np.linspace(ends[0], ends[1], 41).tolist()
        ]
        own = black76.gamma(spot, strike, years, row["implied_vol"], RATE)
        error = max(max(among) - own, own - min(among)) * 50
        for name, interest in (("call", "C"), ("put", "P")):
            if key in stored:
                lots = stored[key][f"gex_{name}_abs"] / own / 50
                difference = abs(stored[key][f"gex_{name}_abs"] - true[key][f"{name}_true_sigma"])
                assert difference <= error * lots * (1 + 1e-9) + 1e-9, (interest, row)
                looked_at += 1
    assert looked_at > 800


# ---- plants -----------------------------------------------------------------------------------------------


def test_the_planted_jump_of_volatility_shows_at_its_second(chain_day: OptionDay) -> None:
    (jump,) = chain_day.truth("plants").filter(pl.col("kind") == "option_vol_jump").to_dicts()
    near = chain_day.table(QUOTES).filter(
        pl.col("reason") == "ok", (pl.col("strike_price_int") - 6_950 * SCALE).abs() <= 10 * SCALE
    )
    per_window = near.group_by("window_end_ts_ns").agg(pl.col("implied_vol").mean()).sort("window_end_ts_ns")
    ends = per_window["window_end_ts_ns"]
    before = per_window.filter(ends <= jump["t0_ns"])["implied_vol"].tail(20).mean()
    after = per_window.filter(ends > jump["t0_ns"] + 3 * SCALE)["implied_vol"].head(20).mean()
    assert isinstance(before, float)
    assert isinstance(after, float)
    assert after - before == pytest.approx(0.02, abs=0.005)


# ---- decoys, layouts, files -------------------------------------------------------------------------------


def test_spreads_other_expiries_and_user_defined_instruments_are_dropped_and_counted(
    chain_day: OptionDay,
) -> None:
    listed = definitions(chain_day.raw)
    records = option_file(chain_day.raw)[1]["instrument_id"]
    user_defined = [d.instrument_id for d in listed if d.raw_symbol.startswith("UD:")]
    others = [
        d.instrument_id
        for d in listed
        if not d.raw_symbol.startswith("UD:")
        and d.strike_price < 2**62
        and d.expiration > 1_767_750_000 * SCALE
    ]
    counters = chain_day.lake.manifest(BRONZE, SYMBOL, DT).counters
    assert len(user_defined) == 2
    assert len(others) == 4
    assert counters["dropped_user_defined"] == np.isin(records, user_defined).sum() > 0
    assert counters["dropped_other_expiries"] == np.isin(records, others).sum() > 0
    assert counters["records"] == len(records) - np.isin(records, user_defined + others).sum()
    kept = set(chain_day.table(QUOTES)["instrument_id"].unique().to_list())
    assert not kept & {*user_defined, *others}


@pytest.mark.parametrize(
    "switch",
    [{"layout": "legacy"}, {"layout": "legacy-168"}, {"dbn_version": 1}, {"with_": ("decoys", "n")}],
    ids=str,
)
def test_option_tables_do_not_depend_on_the_shape_of_the_files(
    switch: dict[str, Any], tiny_chain: OptionDay, tmp_path: Path
) -> None:
    other = option_day(tmp_path, **switch)
    assert other.hashes() == tiny_chain.hashes()
    assert all(tiny_chain.hashes().values())


Cuts = Callable[[np.ndarray], list[int]]


def in_the_middle(records: np.ndarray) -> list[int]:
    """Three places after the snapshots."""
    first = int(np.flatnonzero(records["flags"] & 32 == 0)[0])
    return [first + 5, first + 1_001, (first + len(records)) // 2]


def inside_the_snapshots(records: np.ndarray) -> list[int]:
    """Two places between records of one option's snapshot."""
    assert (records["flags"][:40] & 32 > 0).all()
    same = np.flatnonzero(records["instrument_id"][:39] == records["instrument_id"][1:40]) + 1
    return [int(same[1]), int(same[-1])]


@pytest.mark.parametrize("cuts", [in_the_middle, inside_the_snapshots])
def test_an_option_file_in_several_parts_gives_the_same_tables(
    cuts: Cuts, tiny_chain: OptionDay, tmp_path: Path
) -> None:
    header, records = option_file(tiny_chain.raw)
    raw = tmp_path / "raw"
    raw.mkdir()
    for path in tiny_chain.raw.glob("*.dbn.zst"):
        if ".options." not in path.name:
            (raw / path.name).write_bytes(path.read_bytes())
    edges = [0, *cuts(records), len(records)]
    for k, (start, stop) in enumerate(pairwise(edges)):
        (raw / f"options-{k}.dbn.zst").write_bytes(compressed(header + records[start:stop].tobytes()))
    split = OptionDay(raw, gex_of(raw, tmp_path / "lake"), tiny_chain.truth_dir, tiny_chain.meta)
    assert split.hashes() == tiny_chain.hashes()


# ---- the day as a whole -----------------------------------------------------------------------------------


def test_the_gamma_check_passes(chain_day: OptionDay) -> None:
    found = check_gex(chain_day.lake, SYMBOL, DT)
    assert found.passed, "\n".join(found.lines())


def test_with_another_rate_everything_follows_it(tiny_chain: OptionDay, tmp_path: Path) -> None:
    lake = gex_of(tiny_chain.raw, tmp_path, rate=0.5)
    found = check_gex(lake, SYMBOL, DT)
    assert lake.manifest(GEX, SYMBOL, DT).params["rate"] == 0.5
    assert found.passed, "\n".join(found.lines())
    other = OptionDay(tiny_chain.raw, lake, tiny_chain.truth_dir, tiny_chain.meta)
    both = other.table(QUOTES).join(
        tiny_chain.table(QUOTES), on=["window_end_ts_ns", "instrument_id"], suffix="_default"
    )
    asked = both.filter(pl.col("implied_vol").is_not_null() & pl.col("implied_vol_default").is_not_null())
    assert len(asked) > 2_000
    assert (asked["implied_vol"] > asked["implied_vol_default"]).all(), "a lower discount asks for more"


def test_after_expiry_the_chain_is_quoted_and_weighs_nothing(tmp_path: Path) -> None:
    day = option_day(tmp_path, start="22:59:00")
    quotes = day.table(QUOTES)
    assert len(quotes) > 1_000
    assert set(quotes["reason"]) == {"expired"}
    assert (quotes["bid_price_int"] > 0).any()
    assert (day.table(GEX)["gex_abs"] == 0).all()
    assert (day.table(PROFILE)["call_gex"] == 0).all()
    found = check_gex(day.lake, SYMBOL, DT)
    assert found.passed, "\n".join(found.lines())
    assert "no option with open interest was alive" in found.check("gex_floor").detail
