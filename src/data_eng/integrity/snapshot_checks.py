"""What must be true of book_snapshot_1s, alone and beside the manifest's counters (spec 4.8, 5.1, 11)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from data_eng.integrity.findings import Check, Tally
from data_eng.integrity.rows import Bools, Ints, Rows, window_name
from data_eng.units import PRICES_PER_POINT, WINDOW_NS

CROSSED_COUNTERS: Final = ("crossed_closed", "crossed_pre_open", "crossed_open", "crossed_halt")


def check_window_axis(rows: Rows, table: str = "snapshot") -> Check:
    """Windows lie on the epoch grid, last one second, and follow each other without gap or repeat."""
    tally = Tally(f"{table}_window_axis", "windows")
    end, start = rows["window_end_ts_ns"], rows["window_start_ts_ns"]
    off_grid = (end - start != WINDOW_NS) | (end % WINDOW_NS != 0)
    step = np.diff(end, prepend=end[:1] - WINDOW_NS)

    def say(row: int) -> str:
        return f"{window_name(end[row])}: starts at {start[row]}, {step[row]} ns after the window before it"

    tally.add_rows(off_grid | (step != WINDOW_NS), say)
    return tally.check()


def check_unique_windows(rows: Rows, table: str) -> Check:
    """window_end_ts_ns, the key of `table`, increases strictly."""
    tally = Tally(f"{table}_key", "rows")
    end = rows["window_end_ts_ns"]
    bad = np.zeros(len(end), dtype=bool)
    bad[1:] = end[1:] <= end[:-1]
    tally.add_rows(bad, lambda row: f"row {row}: {window_name(end[row])} after {end[row - 1]}")
    return tally.check()


def check_floor(
    snapshot: Rows, wall_valid_windows: Ints, *, min_open_windows: int, min_valid_share: float
) -> Check:
    """Enough was seen: open windows, and the share of them that is book_valid and window_valid.

    `wall_valid_windows` are the window_end values whose wall rows say window_valid; a window without wall
    rows is not valid here, so an empty book fails.
    """
    tally = Tally("enough_seen", "open windows")
    is_open = snapshot["phase"] == "open"
    valid = is_open & snapshot["book_valid"] & np.isin(snapshot["window_end_ts_ns"], wall_valid_windows)
    opened, good = int(is_open.sum()), int(valid.sum())
    offenders = []
    if opened < min_open_windows:
        offenders.append(f"{opened} windows are in phase open, wanted at least {min_open_windows}")
    if good < min_valid_share * opened or not good:
        offenders.append(
            f"{good} of {opened} open windows are book_valid and window_valid, wanted {min_valid_share:.0%}"
        )
    tally.add(opened, offenders)
    tally.detail = f"{good} valid"
    return tally.check()


def check_wall_rows_per_window(snapshot: Rows, wall_windows: Ints) -> Check:
    """Each book_valid window in phase open has at least one wall row."""
    tally = Tally("wall_rows_per_valid_window", "valid open windows")
    wanted = snapshot["window_end_ts_ns"][snapshot["book_valid"] & (snapshot["phase"] == "open")]
    tally.add_rows(~np.isin(wanted, wall_windows), lambda row: f"{window_name(wanted[row])} has no wall row")
    return tally.check()


def check_open_windows_uncrossed(snapshot: Rows) -> Check:
    """No event left a crossed book in a window that was in phase open from its start to its end.

    The window in which trading opens may hold legal pre-open crossings; the counters judge that one.
    """
    tally = Tally("open_windows_uncrossed", "open windows")
    is_open = snapshot["phase"] == "open"
    stayed = is_open.copy()
    stayed[1:] &= is_open[:-1]
    stayed[:1] &= snapshot["crossed_event_count"][:1] == 0  # nothing is known of the time before it
    rows = snapshot.take(stayed)

    def say(row: int) -> str:
        return (
            f"{window_name(rows['window_end_ts_ns'][row])}: {rows['crossed_event_count'][row]} crossed events"
        )

    tally.add_rows(rows["crossed_event_count"] > 0, say)
    return tally.check()


def check_crossing_counters(snapshot: Rows, counters: Mapping[str, int], *, whole_run: bool) -> Check:
    """The run counted no crossing in phase open, and its counters agree with the rows.

    `whole_run`: the rows hold every window of the run; with a narrower session they may hold fewer
    crossings than the counters, never more. A counter that is absent is a failure, not a zero.
    """
    tally = Tally("crossing_counters", "events")
    offenders = [f"the manifest has no counter {name}" for name in CROSSED_COUNTERS if name not in counters]
    in_open = counters.get("crossed_open", 0)
    if in_open:
        offenders.append(f"counter crossed_open is {in_open}: events left bid >= ask in phase open")
    total = sum(counters.get(name, 0) for name in CROSSED_COUNTERS)
    rows = int(snapshot["crossed_event_count"].sum())
    if rows > total or (whole_run and rows != total):
        offenders.append(f"crossed_event_count adds up to {rows}, the counters to {total}")
    events = int(snapshot["event_count"].sum())
    counted = counters.get("events", -1)
    if events > counted or (whole_run and events != counted):
        offenders.append(f"event_count adds up to {events}, the counter says {counted}")
    tally.add(events, offenders)
    return tally.check()


def report_pre_open_crossings(snapshot: Rows, counters: Mapping[str, int]) -> Check:
    """Crossings before the opening auction are legal; they are counted and told."""
    rows = snapshot.take(snapshot["crossed_event_count"] > 0)
    crossed = counters.get("crossed_pre_open", 0)
    return Check(
        "crossings_in_pre_open",
        crossed,
        f"crossed events, in {len(rows)} windows",
        severity="info",
        detail="legal until the auction",
    )


def check_valid_rows_uncrossed(snapshot: Rows) -> Check:
    """No row with book_valid and both sides present has bid >= ask."""
    tally = Tally("valid_rows_uncrossed", "book_valid rows")
    rows = snapshot.take(snapshot["book_valid"])
    bid, ask = rows["best_bid_price_int"], rows["best_ask_price_int"]

    def say(row: int) -> str:
        quote = f"bid {bid[row] / PRICES_PER_POINT:.2f} ask {ask[row] / PRICES_PER_POINT:.2f}"
        return f"{window_name(rows['window_end_ts_ns'][row])}: {quote}"

    tally.add_rows((bid > 0) & (ask > 0) & (bid >= ask), say)
    return tally.check()


def check_spot_rule(snapshot: Rows) -> Check:
    """Spot is the last trade, else the best bid of a valid book, else 0 (4.9)."""
    tally = Tally("spot_rule", "windows")
    bid_if_valid = np.where(snapshot["book_valid"], snapshot["best_bid_price_int"], 0)
    last, spot = snapshot["last_trade_price_int"], snapshot["spot_ref_price_int"]
    wanted = np.where(last > 0, last, bid_if_valid)

    def say(row: int) -> str:
        return f"{window_name(snapshot['window_end_ts_ns'][row])}: spot {spot[row]}, wanted {wanted[row]}"

    tally.add_rows(spot != wanted, say)
    return tally.check()


def check_mid(snapshot: Rows) -> Check:
    """mid_price_int is exactly half of bid plus ask, mid_price the same in points, 0 without a side."""
    tally = Tally("mid_is_half", "windows")
    bid, ask = snapshot["best_bid_price_int"], snapshot["best_ask_price_int"]
    both = (snapshot["best_bid_qty"] > 0) & (snapshot["best_ask_qty"] > 0)
    wanted = np.where(both, (bid + ask) // 2, 0)
    bad = (snapshot["mid_price_int"] != wanted) | (snapshot["mid_price"] != wanted / PRICES_PER_POINT)

    def say(row: int) -> str:
        return (
            f"{window_name(snapshot['window_end_ts_ns'][row])}: mid_price_int "
            f"{snapshot['mid_price_int'][row]}, mid_price {snapshot['mid_price'][row]}, wanted {wanted[row]}"
        )

    tally.add_rows(bad, say)
    return tally.check()


def check_snapshot_quantities(snapshot: Rows) -> Check:
    """No negative quantity or count, and a quote has a price exactly when it has lots."""
    tally = Tally("snapshot_quantities", "windows")
    bad = np.zeros(len(snapshot), dtype=bool)
    for name in (
        "best_bid_qty",
        "best_ask_qty",
        "crossed_event_count",
        "event_count",
        "buy_qty",
        "sell_qty",
        "trade_count",
    ):
        bad |= snapshot[name] < 0
    bad |= snapshot["crossed_event_count"] > snapshot["event_count"]
    for side in ("bid", "ask"):
        bad |= (snapshot[f"best_{side}_price_int"] != 0) & (snapshot[f"best_{side}_qty"] == 0)
        bad |= (snapshot[f"best_{side}_price_int"] == 0) & (snapshot[f"best_{side}_qty"] > 0)
    tally.add_rows(bad, lambda row: window_name(snapshot["window_end_ts_ns"][row]))
    return tally.check()


def check_available(snapshot: Rows) -> Check:
    """available_ts_ns is a running maximum: it never falls."""
    tally = Tally("available_never_falls", "windows")
    available = snapshot["available_ts_ns"]
    bad = np.zeros(len(available), dtype=bool)
    bad[1:] = available[1:] < available[:-1]
    tally.add_rows(bad, lambda row: f"{window_name(snapshot['window_end_ts_ns'][row])}: {available[row]}")
    return tally.check()


def check_trades(
    snapshot: Rows, trades: Rows, *, window_exact: bool, bronze_trades: int | None
) -> tuple[Check, Check]:
    """trade_event against the snapshot's buy, sell and trade counts, and against Bronze's T records.

    `window_exact`: compare window by window; late trades belong to another window than their ts_event
    (4.7), so with them only the totals are compared. `bronze_trades`: number of plain T records, None
    when the session emits only a part of them.
    """
    return (
        _check_trade_counts(snapshot, trades, window_exact),
        _check_trade_rows(trades, bronze_trades),
    )


def _check_trade_counts(snapshot: Rows, trades: Rows, window_exact: bool) -> Check:
    tally = Tally("trades_equal_snapshot", "windows" if window_exact else "totals")
    ends = snapshot["window_end_ts_ns"]
    window = (trades["ts_event_ns"] // WINDOW_NS + 1) * WINDOW_NS
    place = np.searchsorted(ends, window)
    known = (place < len(ends)) & (ends[np.minimum(place, len(ends) - 1)] == window)
    if window_exact:
        tally.add(0, [f"{window_name(w)}: a trade_event row outside the snapshot" for w in window[~known]])
    side, qty = trades["aggressor_side"], trades["qty"]
    have = {
        "trade_count": np.ones(len(trades), dtype=np.int64),
        "buy_qty": np.where(side == "B", qty, 0),
        "sell_qty": np.where(side == "A", qty, 0),
    }
    bad = np.zeros(len(ends), dtype=bool)
    for name, weight in have.items():
        if not window_exact:
            total, wanted = int(weight.sum()), int(snapshot[name].sum())
            tally.add(1, [f"{name}: trade_event {total}, snapshot {wanted}"] if total != wanted else [])
            continue
        sums = np.zeros(len(ends), dtype=np.int64)
        np.add.at(sums, place[known], weight[known])
        bad |= sums != snapshot[name]
    if window_exact:
        tally.add_rows(bad, lambda row: f"{window_name(ends[row])}: trade counts differ from trade_event")
    return tally.check()


def _check_trade_rows(trades: Rows, bronze_trades: int | None) -> Check:
    tally = Tally("trade_rows", "trade_event rows")
    index = trades["trade_idx"]
    repeats: Bools = np.zeros(len(index), dtype=bool)
    repeats[1:] = np.diff(index) != 1
    auction = trades["aggressor_side"] == "N"
    odd = (
        repeats
        | (trades["is_auction"] != auction)
        | (trades["qty"] < 0)
        | (trades["resting_fill_count"] < 0)
        | (trades["resting_fill_qty"] < 0)
        | (trades["sweep_level_count"] < 1)
    )
    tally.add_rows(
        odd, lambda row: f"row {row}: trade_idx {index[row]}, ts_event {trades['ts_event_ns'][row]}"
    )
    if bronze_trades is not None and bronze_trades != len(trades):
        tally.add(0, [f"{len(trades)} trade_event rows, bronze has {bronze_trades} T records"])
    return tally.check()
