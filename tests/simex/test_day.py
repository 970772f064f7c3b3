"""The command behind `spymaster simulate`: same bytes, readable files, clear refusals."""

from __future__ import annotations

import ast
import hashlib
import itertools
import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from numba import njit

import simex
from simex.day import SimResult, simulate
from simex.errors import SimexError
from tests.simex.plain import raw_bytes, read_mbo, read_messages

SOURCE = Path(__file__).parents[2] / "src"


def digests(result: SimResult) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in result.paths}


def test_same_seed_gives_the_same_bytes_in_another_process(tiny: SimResult, tmp_path: Path) -> None:
    code = (
        "from simex.day import simulate\n"
        f"simulate('2026-01-06', 'tiny', 7, {str(tmp_path)!r}, with_=('decoys', 'status'))"
    )
    subprocess.run(
        [sys.executable, "-c", code], check=True, env={"PYTHONPATH": str(SOURCE), "PATH": "/usr/bin"}
    )
    again = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in tmp_path.glob("*.dbn.zst")}
    assert again == digests(tiny)
    assert {name: entry["sha256"] for name, entry in tiny.meta["files"].items()} == again


def test_another_seed_gives_another_day(tiny: SimResult, tmp_path: Path) -> None:
    other = simulate("2026-01-06", "tiny", 8, tmp_path, options=False)
    assert digests(other)[tiny.paths[0].name] != digests(tiny)[tiny.paths[0].name]


def test_tiny_has_the_promised_size(tiny: SimResult) -> None:
    assert 80_000 < tiny.meta["parameters"]["futures_records"] < 120_000
    options = next(path for path in tiny.paths if ".options." in path.name)
    assert 5_000 < tiny.meta["files"][options.name]["records"] <= 200_000


def test_the_public_client_reads_every_file(tiny: SimResult) -> None:
    databento = pytest.importorskip("databento", reason="the vendor's client is an extra")
    for path in tiny.paths:
        store = databento.DBNStore.from_file(path)
        assert store.metadata.not_found == ["SIMULATED"]
        frame = store.to_df()
        assert len(frame) == tiny.meta["files"][path.name]["records"]
        assert frame["symbol"].notna().all()


@pytest.mark.parametrize("version", [1, 3])
def test_definitions_and_statistics_decode_in_both_versions(version: int, tmp_path: Path) -> None:
    result = simulate("2026-01-06", "tiny", 7, tmp_path, dbn_version=version, with_=())
    metadata, *definitions = read_messages(tmp_path / "simex-20260106.definition.dbn.zst")
    assert metadata.not_found == ["SIMULATED"]
    by_symbol = {d.raw_symbol: d for d in definitions}
    future = by_symbol["ESH6"]
    assert (future.instrument_id, future.min_price_increment, future.unit_of_measure_qty) == (
        42_140_878,
        250_000_000,
        50 * 10**9,
    )
    call = by_symbol["E1BF6 C6950"]
    assert call.min_price_increment == 2**63 - 1
    assert call.contract_multiplier == 2**31 - 1
    assert (call.underlying, call.strike_price, call.tick_rule) == ("ESH6", 6950 * 10**9, 15)
    assert call.expiration == 1_767_733_200 * 10**9
    assert any(symbol.startswith("UD:") for symbol in by_symbol)
    _, *statistics = read_messages(tmp_path / "simex-20260106.statistics.dbn.zst")
    kinds = {int(message.stat_type) for message in statistics}
    assert {1, 3, 6, 9} <= kinds
    assert all(a.ts_recv <= b.ts_recv for a, b in itertools.pairwise(statistics))
    assert raw_bytes(result.paths[0])[3] == version


def test_open_interest_is_announced_as_the_truth_says(tiny: SimResult) -> None:
    path = next(path for path in tiny.paths if ".statistics." in path.name)
    _, *messages = read_messages(path)
    sent = [
        (m.instrument_id, m.ts_recv, m.quantity)
        for m in messages
        if int(m.stat_type) == 9 and m.channel_id == 1
    ]
    truth = pq.read_table(tiny.truth_dir / "truth_oi.parquet").to_pylist()
    assert sent == [(row["instrument_id"], row["ts_recv_ns"], row["open_interest"]) for row in truth]
    assert any(quantity == 0 for _, _, quantity in sent)
    assert max(quantity for _, _, quantity in sent) == 9_000


def test_status_file_tells_the_phases(opening: SimResult, tmp_path: Path) -> None:
    simulate("2026-01-06", "tiny", 7, tmp_path, start="22:59:00", options=False, with_=("status",))
    _, *messages = read_messages(tmp_path / "simex-20260106.status.dbn.zst")
    assert [str(m.action.name) for m in messages] == ["PRE_OPEN", "TRADING"]


def test_faults_are_counted_and_leave_the_truth_alone(tiny: SimResult, tmp_path: Path) -> None:
    names = ("drop_cancel", "duplicate_add", "swap", "wrong_instrument", "missing_last")
    result = simulate("2026-01-06", "tiny", 7, tmp_path, faults=names, options=False)
    assert all(result.meta["faults"][name] > 0 for name in names)
    for name in ("truth_book_1s", "truth_flow_1s"):
        assert pq.read_table(result.truth_dir / f"{name}.parquet").equals(
            pq.read_table(tiny.truth_dir / f"{name}.parquet")
        )
    cut = simulate("2026-01-06", "tiny", 7, tmp_path, faults=("truncate",), options=False, force=True)
    data = raw_bytes(cut.paths[0])  # this reader returns what it can
    assert len(data) // 56 < cut.meta["files"][cut.paths[0].name]["records"]


def test_option_quotes_bracket_the_model_and_never_cross(tiny: SimResult) -> None:
    table = pq.read_table(tiny.truth_dir / "truth_iv_1s.parquet")
    bid, ask, theo = (table[name].to_numpy() for name in ("bid", "ask", "theo"))
    both = (bid > 0) & (ask > 0)
    assert both.mean() > 0.95
    assert (bid < ask)[both].all()
    inside = (bid - 0.13 <= theo) & (theo <= ask + 0.13)
    assert inside[both].mean() > 0.99
    ticks = np.concatenate([bid[bid > 0], ask[ask > 0]]) * 20
    assert np.allclose(ticks, np.round(ticks))
    assert (np.round(ticks[ticks > 200.5]) % 5 == 0).all()


def test_option_file_gives_the_quotes_of_the_truth(tiny: SimResult) -> None:
    path = next(path for path in tiny.paths if ".options." in path.name)
    records = read_mbo(path)[1]
    assert len(np.unique(records["instrument_id"])) == 28
    truth = {
        (row["window_end_ts_ns"], row["instrument_id"]): (round(row["bid"] * 1e9), round(row["ask"] * 1e9))
        for row in pq.read_table(tiny.truth_dir / "truth_iv_1s.parquet").to_pylist()
    }
    ids = {number for _, number in truth}
    books: dict[int, dict[int, tuple[bytes, int, int]]] = {number: {} for number in ids}
    end = tiny.meta["start_ts_ns"] + 10**9
    checked = 0
    for r in records:
        number = int(r["instrument_id"])
        while not r["flags"] & 32 and r["ts_event"] >= end:
            for one in ids:
                bids = [p for s, p, q in books[one].values() if s == b"B"]
                asks = [p for s, p, q in books[one].values() if s == b"A"]
                assert (max(bids, default=0), min(asks, default=0)) == truth[end, one]
                checked += 1
            end += 10**9
        if number not in ids:
            continue
        book, order = books[number], int(r["order_id"])
        if r["action"] == b"C":
            del book[order]
        elif r["action"] in (b"A", b"M"):
            assert (order in book) == (r["action"] == b"M")
            book[order] = (r["side"], int(r["price"]), int(r["size"]))
    assert checked > 2000


def test_gex_truth_agrees_with_the_true_volatility(tiny: SimResult) -> None:
    rows = pq.read_table(tiny.truth_dir / "truth_gex_1s.parquet").to_pylist()
    total = sum(row["call"] + row["put"] for row in rows)
    true = sum(row["call_true_sigma"] + row["put_true_sigma"] for row in rows)
    assert total == pytest.approx(true, rel=0.03)
    assert all(row["call"] >= 0 and row["put"] >= 0 for row in rows)


# -- refusals


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"preset": "huge"}, "preset"),
        ({"date": "2026-01-10"}, "no full session"),
        ({"date": "2026-01-01"}, "no full session"),
        ({"date": "2031-01-06"}, "ESH6"),
        ({"date": "yesterday"}, "not a date"),
        ({"layout": "odd"}, "layout"),
        ({"faults": ("gremlins",)}, "fault"),
        ({"with_": ("bells",)}, "extra"),
        ({"dbn_version": 2}, "version"),
        ({"start": "half past"}, "time of day"),
        ({"start": "23:59:30"}, "beyond"),
        ({"rate_factor": 0.0}, "rate factor"),
        ({"seed": -1}, "seed"),
    ],
)
def test_requests_that_cannot_be_met_are_refused(
    arguments: dict[str, object], words: str, tmp_path: Path
) -> None:
    request = {"date": "2026-01-06", "preset": "tiny", "seed": 7, "out": tmp_path / "x"} | arguments
    with pytest.raises(SimexError, match=words) as caught:
        simulate(**request)  # type: ignore[arg-type]  # built from parameters
    assert caught.value.exit_code == 2
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "x").exists()


def test_a_file_of_somebody_else_is_never_overwritten(tmp_path: Path) -> None:
    foreign = tmp_path / "simex-20260106.mbo.dbn.zst"
    foreign.write_bytes(b"precious")
    with pytest.raises(SimexError, match="no truth_meta"):
        simulate("2026-01-06", "tiny", 7, tmp_path, force=True)
    assert foreign.read_bytes() == b"precious"
    assert list(tmp_path.iterdir()) == [foreign]


def test_force_replaces_only_what_an_earlier_run_wrote(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    first = simulate("2026-01-06", "tiny", 7, tmp_path)
    with pytest.raises(SimexError, match="--force"):
        simulate("2026-01-06", "tiny", 7, tmp_path)
    second = simulate("2026-01-06", "tiny", 8, tmp_path, options=False, force=True)
    assert not (tmp_path / "simex-20260106.options.mbo.dbn.zst").exists()
    assert digests(second)[first.paths[0].name] == second.meta["files"][first.paths[0].name]["sha256"]
    assert (tmp_path / "notes.txt").read_text() == "mine"
    meta = json.loads((second.truth_dir / "truth_meta.json").read_text())
    assert meta["seed"] == 8
    assert {path.name for path in second.truth_dir.iterdir()} == {*meta["truth_files"], "truth_meta.json"}


def test_an_unwritable_folder_is_one_sentence(tmp_path: Path) -> None:
    blocker = tmp_path / "file"
    blocker.write_text("")
    for out in (blocker, blocker / "below"):
        with pytest.raises(SimexError, match="choose"):
            simulate("2026-01-06", "tiny", 7, out)


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from simex import dbn_files

    def full(self: object, data: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(dbn_files.DbnFile, "write", full)
    with pytest.raises(SimexError, match="No space left"):
        simulate("2026-01-06", "tiny", 7, tmp_path)
    assert list(tmp_path.iterdir()) == []


# -- house rules


def imports_of(folder: Path) -> set[str]:
    found: set[str] = set()
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                found.add(node.module.split(".")[0])
    return found


def test_simex_and_the_pipeline_do_not_know_each_other() -> None:
    assert "numpy" in imports_of(SOURCE / "simex")
    assert imports_of(SOURCE / "simex").isdisjoint({"data_eng", "serving", "spymaster"})
    for package in ("data_eng", "serving"):
        if (SOURCE / package).is_dir():
            assert "simex" not in imports_of(SOURCE / package)


def test_naming_the_package_loads_no_machinery() -> None:
    code = "import sys, simex; assert 'numba' not in sys.modules and 'pyarrow' not in sys.modules"
    subprocess.run(
        [sys.executable, "-c", code], check=True, env={"PYTHONPATH": str(SOURCE), "PATH": "/usr/bin"}
    )
    assert simex.SimexError is SimexError


def test_exact_functions_agree_with_the_maths_library() -> None:
    from simex import black76
    from simex.options_kernel import exp_exact, log_exact, normal_cdf

    @njit
    def exact(x):  # type: ignore[no-untyped-def]  # they are helpers: only compiled code may call them
        return exp_exact(x), normal_cdf(x / 3.0), log_exact(abs(x) + 1e-8)

    for x in np.linspace(-30, 30, 601):
        power, share, _ = exact(x)
        assert power == pytest.approx(math.exp(x), rel=4e-15)
        assert share == pytest.approx(black76._cdf(x / 3), rel=1e-12, abs=1e-16)
    for x in np.logspace(-8, 8, 400):
        assert exact(x)[2] == pytest.approx(math.log(x + 1e-8), rel=4e-15, abs=4e-16)
    for right in "CP":
        value = black76.price(right, 6950.0, 6960.0, 0.0007, 0.12, 0.05)
        assert black76.implied_vol(right, value, 6950.0, 6960.0, 0.0007, 0.05) == pytest.approx(
            0.12, abs=1e-10
        )
