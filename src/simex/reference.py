"""Definitions, statistics and status (exchange.md A4, B5), with the fields real ones leave undefined."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import databento_dbn

from simex import feed
from simex.feed import PRICE_SCALE, PUBLISHER_ID, SECOND_NS, UNDEF_PRICE

dbn: Any = databento_dbn  # its stub types enum members as plain values
I32_UNDEF: Final = 2**31 - 1
U16_UNDEF: Final = 65_535
U8_UNDEF: Final = 255
I8_UNDEF: Final = 127
TS_UNDEF: Final = 2**64 - 1


@dataclass(frozen=True)
class OptionContract:
    """One option of a chain, or a decoy beside it (right '' = user-defined spread)."""

    instrument_id: int
    symbol: str
    asset: str
    right: str
    strike_int: int
    expiration_ns: int
    week: int


def midnight_ns(date: dt.date) -> int:
    """00:00 UTC of a date in ns."""
    return int(dt.datetime(date.year, date.month, date.day, tzinfo=dt.UTC).timestamp()) * SECOND_NS


def sunday_before(date: dt.date) -> dt.date:
    """The Sunday on which the week's definitions were published."""
    return date - dt.timedelta(days=(date.weekday() + 1) % 7)


def option_root(date: dt.date) -> tuple[str, int]:
    """Root symbol of the chain that expires on a date, and its week of the month: E1B, EW2 ... (A4)."""
    week = (date.day - 1) // 7 + 1
    ahead = 3 if date.weekday() == 4 else 1
    last_session = (date + dt.timedelta(days=ahead)).month != date.month
    if date.weekday() == 4 and week == 3:
        return "ES", week
    if last_session:
        return "EW", week
    if date.weekday() == 4:
        return f"EW{week}", week
    return f"E{week}{'ABCD'[min(date.weekday(), 3)]}", week


def month_code(date: dt.date) -> str:
    """F6 for January 2026."""
    return f"{'FGHJKMNQUVXZ'[date.month - 1]}{date.year % 10}"


def _common(date: dt.date, instrument_id: int, symbol: str) -> dict[str, Any]:
    published = midnight_ns(sunday_before(date)) + (13 * 3600 + 221) * SECOND_NS + 366_435_639
    return {
        "publisher_id": PUBLISHER_ID,
        "instrument_id": instrument_id,
        "ts_event": published,
        "ts_recv": midnight_ns(date),
        "display_factor": 10_000_000,
        "raw_symbol": symbol,
        "security_update_action": dbn.SecurityUpdateAction.ADD,
        "raw_instrument_id": instrument_id,
        "exchange": "XCME",
        "currency": "USD",
        "match_algorithm": dbn.MatchAlgorithm.FIFO,
        "user_defined_instrument": dbn.UserDefinedInstrument.NO,
        "underlying_product": 5,
        "min_trade_vol": 1,
        "min_lot_size": 0,
        "min_lot_size_block": 0,
        "min_lot_size_round_lot": 0,
        "market_depth_implied": 0,
        "price_ratio": UNDEF_PRICE,
        "contract_multiplier": I32_UNDEF,
        "decay_quantity": I32_UNDEF,
        "original_contract_size": I32_UNDEF,
        "decay_start_date": U16_UNDEF,
        "main_fraction": U8_UNDEF,
        "price_display_format": U8_UNDEF,
        "sub_fraction": U8_UNDEF,
        "maturity_day": U8_UNDEF,
        "contract_multiplier_unit": I8_UNDEF,
        "flow_schedule_type": I8_UNDEF,
        "settl_currency": "",
        "secsubtype": "",
        "strike_price_currency": "",
        "underlying": "",
        "underlying_id": 0,
        "strike_price": UNDEF_PRICE,
        "maturity_week": U8_UNDEF,
        "tick_rule": U8_UNDEF,
    }


def _future(date: dt.date, contract: feed.Instrument, expiration: dt.datetime) -> dict[str, Any]:
    spread = "-" in contract.symbol
    fields = _common(date, contract.instrument_id, contract.symbol)
    fields |= {
        "min_price_increment": contract.tick_int,
        "asset": "ES",
        "security_type": "FUT",
        "instrument_class": dbn.InstrumentClass.FUTURE_SPREAD if spread else dbn.InstrumentClass.FUTURE,
        "expiration": int(expiration.timestamp()) * SECOND_NS,
        "activation": 1_692_394_200 * SECOND_NS,
        "high_limit_price": UNDEF_PRICE if spread else 7_380_250_000_000,
        "low_limit_price": UNDEF_PRICE if spread else 6_420_250_000_000,
        "max_price_variation": 1_500_000_000 if spread else 10 * PRICE_SCALE,
        "unit_of_measure_qty": UNDEF_PRICE if spread else feed.MULTIPLIER * PRICE_SCALE,
        "min_price_increment_amount": UNDEF_PRICE if spread else 125_000_000,
        "inst_attrib_value": 271_371 if spread else 270_351,
        "market_depth": 10,
        "market_segment_id": 64,
        "max_trade_vol": 15_000 if spread else 3_000,
        "appl_id": 310,
        "channel_id": 0,
        "group": "ES",
        "secsubtype": "EQ" if spread else "",
        "cfi": "FMIXSX" if spread else "FFIXSX",
        "unit_of_measure": "CTRCT" if spread else "IPNT",
        "maturity_year": expiration.year,
        "maturity_month": expiration.month,
    }
    return fields


def futures(date: dt.date) -> list[dict[str, Any]]:
    """Definitions of the front future, the next one and their calendar spread."""
    march = dt.datetime(2026, 3, 20, 13, 30, tzinfo=dt.UTC)
    june = dt.datetime(2026, 6, 18, 13, 30, tzinfo=dt.UTC)
    return [
        _future(date, feed.ESH6, march),
        _future(date, feed.ESM6, june),
        _future(date, feed.SPREAD, march),
    ]


def option(date: dt.date, contract: OptionContract) -> dict[str, Any]:
    """Definition of an option: tick undefined (tick rule 15), multiplier only in unit_of_measure_qty."""
    fields = _common(date, contract.instrument_id, contract.symbol)
    classes = {
        "C": dbn.InstrumentClass.CALL,
        "P": dbn.InstrumentClass.PUT,
        "": dbn.InstrumentClass.OPTION_SPREAD,
    }
    spread = contract.right == ""
    expiry = dt.datetime.fromtimestamp(contract.expiration_ns // SECOND_NS, tz=dt.UTC)
    fields |= {
        "ts_event": midnight_ns(sunday_before(date)) + (12 * 3600 + 3_355) * SECOND_NS + 529_000_000,
        "min_price_increment": UNDEF_PRICE if not spread else 50_000_000,
        "asset": contract.asset,
        "security_type": "MLEG" if spread else "OOF",
        "instrument_class": classes[contract.right],
        "expiration": contract.expiration_ns,
        "activation": contract.expiration_ns - 66 * 86_400 * SECOND_NS,
        "high_limit_price": UNDEF_PRICE,
        "low_limit_price": UNDEF_PRICE if spread else 50_000_000,
        "max_price_variation": UNDEF_PRICE,
        "unit_of_measure_qty": UNDEF_PRICE if spread else feed.MULTIPLIER * PRICE_SCALE,
        "min_price_increment_amount": 0,
        "inst_attrib_value": 270_343,
        "underlying_id": 0 if spread else feed.ESH6.instrument_id,
        "underlying": "" if spread else feed.ESH6.symbol,
        "market_depth": 3,
        "market_segment_id": 54,
        "max_trade_vol": 3_000,
        "appl_id": 311,
        "channel_id": 1,
        "group": "EW",
        "cfi": "OMXXXN" if spread else "OCEFPS" if contract.right == "C" else "OPEFPS",
        "unit_of_measure": "CTRCT" if spread else "IPNT",
        "strike_price_currency": "" if spread else "USD",
        "strike_price": UNDEF_PRICE if spread else contract.strike_int,
        "maturity_year": expiry.year,
        "maturity_month": expiry.month,
        "maturity_week": contract.week,
        "tick_rule": U8_UNDEF if spread else 15,
    }
    if spread:
        fields["user_defined_instrument"] = dbn.UserDefinedInstrument.YES
    return fields


def encode_definitions(definitions: Iterable[dict[str, Any]], version: int) -> list[bytes]:
    """Records in the layout of DBN version 3 (520 bytes) or 1 (360 bytes)."""
    out = []
    for fields in definitions:
        if version == 3:
            out.append(bytes(dbn.InstrumentDefMsg(**fields)))
            continue
        old = fields | {
            "trading_reference_price": UNDEF_PRICE,
            "trading_reference_date": U16_UNDEF,
            "md_security_trading_status": U8_UNDEF,
            "settl_price_type": U8_UNDEF,
            "asset": fields["asset"][:6],
        }
        out.append(bytes(dbn.InstrumentDefMsgV1(**old)))
    return out


def statistic(
    version: int,
    instrument_id: int,
    ts_recv_ns: int,
    stat_type: Any,
    *,
    quantity: int | None,
    price: int,
    ts_ref_ns: int,
    sequence: int,
    channel_id: int,
) -> bytes:
    """One StatMsg; quantity None is the undefined value of the version."""
    undefined = 2**63 - 1 if version == 3 else I32_UNDEF
    message = dbn.StatMsg if version == 3 else dbn.StatMsgV1
    return bytes(
        message(
            publisher_id=PUBLISHER_ID,
            instrument_id=instrument_id,
            ts_event=ts_recv_ns - 120_000,
            ts_recv=ts_recv_ns,
            ts_ref=ts_ref_ns,
            price=price,
            quantity=undefined if quantity is None else quantity,
            stat_type=stat_type,
            sequence=sequence,
            ts_in_delta=15_300,
            channel_id=channel_id,
            update_action=dbn.StatUpdateAction.NEW,
            stat_flags=0,
        )
    )


def status(instrument_id: int, ts_event_ns: int, action: Any, *, trading: bool) -> bytes:
    """One StatusMsg."""
    return bytes(
        dbn.StatusMsg(
            publisher_id=PUBLISHER_ID,
            instrument_id=instrument_id,
            ts_event=ts_event_ns,
            ts_recv=ts_event_ns + 7_055_917,
            action=action,
            reason=dbn.StatusReason.SCHEDULED,
            trading_event=dbn.TradingEvent.NONE,
            is_trading=dbn.TriState.YES if trading else dbn.TriState.NO,
            is_quoting=dbn.TriState.YES,
            is_short_sell_restricted=dbn.TriState.NOT_AVAILABLE,
        )
    )
