"""The records follow the grammar of the real feed (exchange.md C2 to C6), checked by a plain reader."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from simex.day import SimResult, simulate
from tests.simex.conftest import ESH6
from tests.simex.plain import Replay, read_mbo, replay


def test_no_rule_of_the_grammar_is_broken(tiny_replay: Replay, opening_replay: Replay) -> None:
    assert tiny_replay.broken == Counter()
    assert opening_replay.broken == Counter()


def test_all_shapes_of_events_occur(tiny_replay: Replay, opening_replay: Replay) -> None:
    shapes = tiny_replay.shapes
    assert min(shapes["A"], shapes["C"], shapes["M"]) > 1000
    assert shapes["TFC"] > 100
    assert shapes["TFM"] > 100
    assert shapes["TFCA"] + shapes["TFAC"] > 0
    assert shapes["AC"] + shapes["CA"] >= 2  # self-match prevention
    assert any(shape.count("T") >= 3 for shape in shapes)  # sweep
    assert tiny_replay.aggressor_legs > 4  # both aggressive modifies: 4 lots, and part of 140
    assert any(shape.startswith("TFF") and "T" not in shape[1:] for shape in opening_replay.shapes)
    assert sum(trades[2] for trades in opening_replay.trades.values()) > 0  # the auction


def test_books_cross_only_before_the_auction(
    tiny_replay: Replay, opening_replay: Replay, opening: SimResult
) -> None:
    assert sum(tiny_replay.crossed.values()) == 0
    assert max(opening_replay.crossed) <= opening.meta["start_ts_ns"] + 60 * 10**9


def test_icebergs_fill_more_than_they_show(tiny: SimResult) -> None:
    records = read_mbo(tiny.paths[0])[1]
    own = records[records["instrument_id"] == ESH6]
    shown: dict[int, int] = {}
    more = 0
    for action, order, size in zip(
        own["action"].tolist(), own["order_id"].tolist(), own["size"].tolist(), strict=True
    ):
        if action in (b"A", b"M"):
            shown[order] = size
        elif action == b"F" and order in shown and size > shown[order]:
            more += 1
    assert more >= 1


def test_flags_times_and_sequence_follow_the_feed(tiny: SimResult) -> None:
    records = read_mbo(tiny.paths[0])[1]
    plain = records[(records["flags"] & 32) == 0]
    assert set(np.unique(plain["flags"]).tolist()) == {0, 130}
    assert (np.diff(plain["ts_recv"]) >= 0).all()
    step = np.diff(plain["sequence"].astype(np.int64))
    assert (step >= 0).all()
    assert (step == 0).any()
    assert (step > 1).any()
    same_packet = step == 0
    assert (plain["ts_recv"][1:][same_packet] == plain["ts_recv"][:-1][same_packet]).all()
    assert (plain["ts_recv"] > plain["ts_event"]).all()
    assert plain["ts_in_delta"].min() > 5_000
    assert plain["ts_in_delta"].max() < 25_000
    assert set(np.unique(plain["publisher_id"]).tolist()) == {1}
    for number in np.unique(plain["instrument_id"]):
        ts = plain[plain["instrument_id"] == number]["ts_event"]
        assert (np.diff(ts) >= 0).all()


def test_boundary_events_stand_on_and_across_a_second(tiny: SimResult) -> None:
    records = read_mbo(tiny.paths[0])[1]
    own = records[(records["instrument_id"] == ESH6) & ((records["flags"] & 32) == 0)]
    assert (own["ts_event"] % 10**9 == 0).any()
    seconds = own["ts_recv"] // 10**9
    same_event = own["ts_event"][1:] == own["ts_event"][:-1]
    assert ((seconds[1:] != seconds[:-1]) & same_event).any()


def test_foreign_events_end_inside_open_events(tiny: SimResult) -> None:
    records = read_mbo(tiny.paths[0])[1]
    assert len(np.unique(records["instrument_id"])) == 3
    own = (records["instrument_id"] == ESH6) & ((records["flags"] & 32) == 0)
    open_event = own & ((records["flags"] & 128) == 0)
    foreign_end = ~own & ((records["flags"] & 160) == 128)
    assert (open_event[:-1] & foreign_end[1:]).any()


@pytest.mark.parametrize("layout", ["modern", "legacy", "legacy-168"])
def test_snapshot_layouts_hold_the_same_queues(
    layout: str, tiny: SimResult, tmp_path_factory: pytest.TempPathFactory
) -> None:
    out = tmp_path_factory.mktemp(layout)
    result = simulate("2026-01-06", "tiny", 7, out, layout=layout, options=False, with_=())
    records = read_mbo(result.paths[0])[1]
    head = records[(records["flags"] & 32) > 0]
    assert int(head["flags"][-1]) == (40 if layout == "legacy" else 168)
    assert set(head["flags"][:-1].tolist()) == {40}
    assert (head["action"][0] == b"R") == (layout == "modern")
    assert set(head["ts_recv"].tolist()) == {result.meta["start_ts_ns"]}
    adds = head[head["action"] == b"A"]
    assert (adds["ts_event"] <= result.meta["start_ts_ns"] - 10**9).all()
    if layout == "modern":
        assert (np.diff(adds["ts_event"]) >= 0).all()
    else:
        side = adds["side"] == b"A"
        assert (np.diff(side.astype(int)) >= 0).all()
        assert (np.diff(adds["price"][~side]) <= 0).all()
        assert (np.diff(adds["price"][side]) >= 0).all()
    reference = read_mbo(tiny.paths[0])[1]
    reference = reference[(reference["instrument_id"] == ESH6)]
    reference_head = reference[((reference["flags"] & 32) > 0) & (reference["action"] == b"A")]

    def queues(rows: np.ndarray) -> dict[tuple[bytes, int], list[int]]:
        found: dict[tuple[bytes, int], list[int]] = {}
        for row in rows:
            found.setdefault((row["side"], int(row["price"])), []).append(int(row["order_id"]))
        return found

    assert queues(adds) == queues(reference_head)


def test_fills_start_at_the_head_of_the_queue(tiny: SimResult) -> None:
    records = read_mbo(tiny.paths[0])[1]
    queue: dict[tuple[bytes, int], dict[int, int]] = {}
    where: dict[int, tuple[bytes, int]] = {}
    head_first = [0, 0]
    previous = b""
    for r in records[records["instrument_id"] == ESH6]:
        action, order, size = r["action"], int(r["order_id"]), int(r["size"])
        if action == b"F" and previous == b"T" and order in where:
            front = next(iter(queue[where[order]]))
            head_first[front == order] += 1
        if action in (b"C", b"M") and order in where:
            old = queue[where[order]]
            place = (r["side"], int(r["price"]))
            if action == b"M" and place == where[order] and size <= old[order]:
                old[order] = size
                previous = action
                continue
            del old[order]
            del where[order]
        if action in (b"A", b"M"):
            where[order] = (r["side"], int(r["price"]))
            queue.setdefault(where[order], {})[order] = size
        previous = action
    assert head_first[True] > 1000
    # self-match prevention may pass over the head, and an own leg stands before the first resting fill
    assert head_first[False] < 0.03 * head_first[True]


def test_special_records_appear_when_asked_for(tmp_path_factory: pytest.TempPathFactory) -> None:
    out = tmp_path_factory.mktemp("special")
    result = simulate("2026-01-06", "tiny", 7, out, options=False, with_=("n", "badbook", "recovery"))
    records = read_mbo(result.paths[0])[1]
    assert (records["action"] == b"N").sum() > 20
    assert ((records["flags"] & 4) > 0).sum() == 1
    assert (records["action"] == b"R").sum() == 3  # the start, the cure of the bad book, the recovery
    assert (np.diff(records["ts_recv"]) >= 0).all()
    found = replay(records, ESH6)
    assert found.broken == Counter()
