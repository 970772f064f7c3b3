"""Builders of tiny DBN files for tests: any version, compressed or not, whole or damaged on purpose.

Records are numpy arrays of `MBO_DTYPE` or objects of `databento_dbn`; the header comes from the vendor's
own encoder, so these files are what the vendor's decoder reads.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import databento_dbn as dbn
import numpy as np
import zstandard

from data_eng.dbn_codes import DATASET, F_BAD_TS_RECV, F_LAST, F_SNAPSHOT, SIMULATED_MARKER
from data_eng.mbo import MBO_DTYPE
from data_eng.units import DAY_NS, TICK_INT, UNDEF_PRICE

DT = "2026-01-06"
ESH6 = 42140878
ESM6 = 42140864
SPREAD = 42140900

_OLD_LAYOUTS: dict[tuple[str, int], Any] = {
    ("definition", 1): dbn.InstrumentDefMsgV1,
    ("definition", 2): dbn.InstrumentDefMsgV2,
    ("statistics", 1): dbn.StatMsgV1,
    ("statistics", 2): dbn.StatMsgV1,
}


def day_start_ns(dt: str = DT) -> int:
    """00:00 UTC of `dt` in ns."""
    return int(datetime.fromisoformat(dt).replace(tzinfo=UTC).timestamp()) * 1_000_000_000


def mbo_record(
    action: str = "A",
    side: str = "B",
    price: int = 6_950_000_000_000,
    size: int = 1,
    order_id: int = 1,
    *,
    ts: int | None = None,
    ts_recv: int | None = None,
    flags: int = F_LAST,
    sequence: int = 1,
    instrument_id: int = ESH6,
) -> np.ndarray:
    """One MBO record as an array of length 1; `ts` is ts_event, received 100 us later by default."""
    event = day_start_ns() + 15 * 3_600 * 1_000_000_000 if ts is None else ts
    one = np.zeros(1, MBO_DTYPE)
    one["length"], one["rtype"], one["publisher_id"] = 14, 160, 1
    one["instrument_id"], one["ts_event"], one["order_id"] = instrument_id, event, order_id
    one["price"], one["size"], one["flags"] = price, size, flags
    one["action"], one["side"] = ord(action), ord(side)
    one["ts_recv"] = event + 100_000 if ts_recv is None else ts_recv
    one["ts_in_delta"], one["sequence"] = 15_000, sequence
    return one


def mbo_day(
    rows: int = 300, *, dt: str = DT, instrument_id: int = ESH6, seed: int = 7, modern: bool = True
) -> np.ndarray:
    """A plausible short day: a snapshot at 00:00, then ordered adds, cancels and a few trades from 15:00."""
    rng = np.random.default_rng(seed)
    midnight = day_start_ns(dt)
    snapshot = F_SNAPSHOT | F_BAD_TS_RECV
    parts = []
    if modern:
        parts.append(
            mbo_record(
                "R",
                "N",
                UNDEF_PRICE,
                0,
                0,
                ts=midnight,
                ts_recv=midnight,
                flags=snapshot,
                instrument_id=instrument_id,
            )
        )
    resting = 20
    for k in range(resting):
        last = F_LAST if modern and k == resting - 1 else 0
        side = "AB"[k % 2]
        price = 6_950_000_000_000 + (1 if side == "A" else -1) * (1 + k // 2) * TICK_INT
        parts.append(
            mbo_record(
                side=side,
                price=price,
                size=int(rng.integers(1, 50)),
                order_id=1000 + k,
                ts=midnight - (resting - k) * 3_600 * 1_000_000_000,
                ts_recv=midnight,
                flags=snapshot | last,
                sequence=900 - k,
                instrument_id=instrument_id,
            )
        )
    ts = midnight + 15 * 3_600 * 1_000_000_000
    for k in range(rows - len(parts)):
        ts += int(rng.integers(1_000, 400_000_000))
        kind = "ACT"[k % 3]
        side = "AB"[(k // 3) % 2]
        price = 6_950_000_000_000 + (1 if side == "A" else -1) * int(rng.integers(1, 10)) * TICK_INT
        parts.append(
            mbo_record(
                kind,
                side,
                price,
                int(rng.integers(1, 9)),
                5000 + k // 3,
                ts=ts,
                sequence=1000 + k,
                instrument_id=instrument_id,
            )
        )
    return np.concatenate(parts)


def definition(
    raw_symbol: str = "ESH6",
    instrument_id: int = ESH6,
    *,
    instrument_class: str = "F",
    underlying: str = "",
    underlying_id: int = 0,
    dt: str = DT,
    ts_recv: int | None = None,
    expiration: str = "2026-03-20T13:30:00+00:00",
    strike_price: int = UNDEF_PRICE,
    min_price_increment: int = TICK_INT,
    update: str = "A",
) -> dbn.InstrumentDefMsg:
    """One definition message, stamped 00:00 UTC of `dt` unless told otherwise."""
    expires = datetime.fromisoformat(expiration)
    return dbn.InstrumentDefMsg(
        publisher_id=1,
        instrument_id=instrument_id,
        ts_event=day_start_ns(dt) - 2 * DAY_NS,
        ts_recv=day_start_ns(dt) if ts_recv is None else ts_recv,
        min_price_increment=min_price_increment,
        display_factor=10_000_000,
        raw_symbol=raw_symbol,
        asset="ES",
        security_type="FUT" if instrument_class == "F" else "OOF",
        instrument_class=dbn.InstrumentClass(instrument_class),
        security_update_action=dbn.SecurityUpdateAction(update),
        expiration=int(expires.timestamp()) * 1_000_000_000,
        unit_of_measure_qty=50_000_000_000,
        strike_price=strike_price,
        underlying=underlying,
        underlying_id=underlying_id,
        currency="USD",
    )


def status(
    action: dbn.StatusAction, ts: int, *, instrument_id: int = ESH6, ts_recv: int | None = None
) -> dbn.StatusMsg:
    """One trading-status message that takes effect at `ts`."""
    return dbn.StatusMsg(
        publisher_id=1,
        instrument_id=instrument_id,
        ts_event=ts,
        ts_recv=ts + 100_000 if ts_recv is None else ts_recv,
        action=action,
        reason=dbn.StatusReason.SCHEDULED,
        trading_event=dbn.TradingEvent.NONE,
        is_trading=dbn.TriState("Y"),
        is_quoting=dbn.TriState("Y"),
    )


def statistic(
    quantity: int,
    *,
    instrument_id: int,
    ts_recv: int | None = None,
    stat_type: dbn.StatType = dbn.StatType.OPEN_INTEREST,
    ts_ref: int | None = None,
    update: dbn.StatUpdateAction = dbn.StatUpdateAction.NEW,
    price: int = UNDEF_PRICE,
) -> dbn.StatMsg:
    """One statistics message, open interest by default."""
    received = day_start_ns() + 1_000 if ts_recv is None else ts_recv
    return dbn.StatMsg(
        publisher_id=1,
        instrument_id=instrument_id,
        ts_event=received - 1_000,
        ts_recv=received,
        ts_ref=day_start_ns() - DAY_NS if ts_ref is None else ts_ref,
        price=price,
        quantity=quantity,
        stat_type=stat_type,
        update_action=update,
    )


def record_bytes(records: Any, schema: str, version: int) -> bytes:
    """Records as the bytes of DBN `version`; arrays and byte strings are taken as they are."""
    if isinstance(records, bytes):
        return records
    if isinstance(records, np.ndarray):
        return records.tobytes()
    return b"".join(_in_version(record, schema, version) for record in records)


def _in_version(record: Any, schema: str, version: int) -> bytes:
    layout = _OLD_LAYOUTS.get((schema, version))
    if layout is None:
        return bytes(record)
    new = np.frombuffer(bytes(record), np.dtype(type(record)._dtypes))[0]
    old = np.zeros(1, np.dtype(layout._dtypes))
    for name in old.dtype.names or ():
        if name in (new.dtype.names or ()) and not name.startswith("_"):
            narrow = old.dtype[name].kind in "iu"
            top = np.iinfo(old.dtype[name]).max if narrow else 0
            old[name] = min(int(new[name]), top) if narrow else new[name]
    old["length"] = old.dtype.itemsize // 4
    return old.tobytes()


def header_bytes(
    *,
    schema: str | None = "mbo",
    version: int = 3,
    symbols: Sequence[str] = ("ESH6",),
    mappings: Mapping[str, int] | None = None,
    dataset: str = DATASET,
    simulated: bool = False,
    start_ns: int | None = None,
    end_ns: int | None = None,
    stype_in: str = "raw_symbol",
    ts_out: bool = False,
) -> bytes:
    """DBN metadata header; `mappings` is raw symbol -> instrument id for the whole span."""
    start = day_start_ns() if start_ns is None else start_ns
    end = start + DAY_NS if end_ns is None else end_ns
    first, last = _day(start), _day(end - 1) + timedelta(days=1)
    intervals = [
        SimpleNamespace(
            raw_symbol=symbol,
            intervals=[SimpleNamespace(start_date=first, end_date=last, symbol=str(number))],
        )
        for symbol, number in ({"ESH6": ESH6} if mappings is None else mappings).items()
    ]
    metadata = dbn.Metadata(
        dataset=dataset,
        start=start,
        end=end,
        stype_in=dbn.SType(stype_in),
        stype_out=dbn.SType.INSTRUMENT_ID,
        schema=None if schema is None else dbn.Schema(schema),
        symbols=list(symbols),
        partial=[],
        not_found=[SIMULATED_MARKER] if simulated else [],
        mappings=intervals,  # type: ignore[arg-type]  # the encoder reads attributes, not the class
        ts_out=ts_out,
        version=version,
    )
    return bytes(metadata.encode())


def write_dbn(
    path: Path,
    records: Any,
    *,
    schema: str = "mbo",
    version: int = 3,
    symbols: Sequence[str] = ("ESH6",),
    mappings: Mapping[str, int] | None = None,
    dataset: str = DATASET,
    simulated: bool = False,
    compress: bool = True,
    checksum: bool = True,
    start_ns: int | None = None,
    end_ns: int | None = None,
    stype_in: str = "raw_symbol",
) -> Path:
    """Write header and records to `path` and return it.

    `records` is an array of `MBO_DTYPE`, a list of databento_dbn records (definitions and statistics are
    written in the layout of `version`), or raw bytes. The header spans the UTC day of `DT` by default.
    """
    header = header_bytes(
        schema=schema,
        version=version,
        symbols=symbols,
        mappings=mappings,
        dataset=dataset,
        simulated=simulated,
        start_ns=start_ns,
        end_ns=end_ns,
        stype_in=stype_in,
    )
    plain = header + record_bytes(records, schema, version)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(compressed(plain, checksum=checksum) if compress else plain)
    return path


def compressed(plain: bytes, *, checksum: bool = True, level: int = 3) -> bytes:
    """One zstd frame without a declared content size, as Databento writes it."""
    compressor = zstandard.ZstdCompressor(level=level, write_checksum=checksum, write_content_size=False)
    stream = compressor.compressobj()
    return stream.compress(plain) + stream.flush()


def concatenated(parts: Iterable[np.ndarray]) -> np.ndarray:
    """Records of several instruments interleaved by ts_recv, stable."""
    together = np.concatenate(list(parts))
    return together[np.argsort(together["ts_recv"], kind="stable")]


def _day(ts_ns: int) -> date:
    return datetime.fromtimestamp(ts_ns // 1_000_000_000, tz=UTC).date()
