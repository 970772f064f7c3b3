"""Bronze: the feed as it was, one table per kind of message (spec 3).

Rows stay in file order and nothing is repaired, so these tables have no key and few bounds: DBN's own
UNDEF values are kept, and timestamps keep their 64 bits (an undefined one reads as -1).
"""

from __future__ import annotations

from typing import Final

import pyarrow as pa

from data_eng.dbn_codes import RTYPE_MBO
from data_eng.schema.column import DICT_STRING, Column, Table

OPTION_RIGHTS: Final = ("C", "P")
"""call, put"""

MBO_FIELDS: Final = (
    Column("ts_recv", pa.int64(), "When Databento's capture server received the packet.", "ns UTC"),
    Column("ts_event", pa.int64(), "When the exchange's matching engine made the change.", "ns UTC"),
    Column("rtype", pa.uint8(), "DBN record type; MBO is always 160.", "", RTYPE_MBO, RTYPE_MBO),
    Column("publisher_id", pa.uint16(), "Databento's number of the publisher (GLBX.MDP3 is 1).", "id"),
    Column("instrument_id", pa.uint32(), "The exchange's number of the instrument on that day.", "id"),
    Column(
        "action",
        DICT_STRING,
        "What happened to the order: A add, C cancel, M modify, T trade, F fill, R clear book, N none; "
        "any other byte of the feed is kept as it is.",
        "code",
    ),
    Column("side", DICT_STRING, "Side of the order or of the aggressor: A ask, B bid, N none.", "code"),
    Column("price", pa.int64(), "Price of the record; int64 max is DBN's UNDEF.", "1e-9 points"),
    Column("size", pa.uint32(), "Quantity of the record; uint32 max is DBN's UNDEF.", "contracts"),
    Column("channel_id", pa.uint8(), "Channel of the feed that carried the record.", "id"),
    Column("order_id", pa.uint64(), "The exchange's order number; 0 for the trades of an auction.", "id"),
    Column(
        "flags",
        pa.uint8(),
        "Bit field: 128 last record of the event, 64 top of book, 32 snapshot, 16 MBP, 8 bad ts_recv, "
        "4 book may be wrong, 2 publisher specific.",
        "bits",
    ),
    Column("ts_in_delta", pa.int32(), "ts_recv minus the exchange's time of sending.", "ns"),
    Column(
        "sequence",
        pa.uint32(),
        "Packet number on the channel; gaps belong to other instruments and are no loss.",
        "count",
    ),
)
"""the fields of a DBN MboMsg, in the column order of both MBO tables"""

FUTURE_MBO: Final = Table(
    "bronze.future_mbo.mbo",
    "One row per market-by-order record of one outright future, in file order; it converts back to the "
    "same DBN bytes.",
    MBO_FIELDS,
    spec="3.1",
)

OPTION_MBO: Final = Table(
    "bronze.future_option_mbo.mbo",
    "One row per market-by-order record of an option that expires on the date (0DTE), in file order; "
    "instruments interleave.",
    (
        *MBO_FIELDS,
        Column("symbol", pa.string(), "Raw symbol of the option, from its definition."),
        Column("underlying", pa.string(), "Raw symbol of the future the option settles into."),
        Column("right", pa.string(), "C call, P put.", "code", values=OPTION_RIGHTS),
        Column("strike", pa.int64(), "Strike price, from the definition.", "1e-9 points"),
        Column("expiration", pa.int64(), "When the option stops trading, from the definition.", "ns UTC"),
    ),
    spec="3.3",
)

INSTRUMENT_DEFINITIONS: Final = Table(
    "bronze.shared.instrument_definitions",
    "One row per definition message of a future or of an instrument on it, in file order.",
    (
        Column(
            "ts_recv", pa.int64(), "When the message was received; the daily set is stamped 00:00.", "ns UTC"
        ),
        Column("ts_event", pa.int64(), "When the exchange published the definition.", "ns UTC"),
        Column("instrument_id", pa.uint32(), "The exchange's number of the instrument on that day.", "id"),
        Column(
            "instrument_class",
            pa.string(),
            "F outright future, C call, P put, S future spread, T option spread and further DBN codes.",
            "code",
        ),
        Column("security_update_action", pa.string(), "A added, M modified, D deleted.", "code"),
        Column("security_type", pa.string(), "The exchange's security type, for example FUT or OOF."),
        Column("underlying_id", pa.uint32(), "instrument_id of the underlying; 0 = none.", "id"),
        Column("underlying", pa.string(), "Raw symbol of the underlying; empty for a future."),
        Column("expiration", pa.int64(), "Last trading instant; -1 = UNDEF.", "ns UTC"),
        Column("strike_price", pa.int64(), "Strike of an option; int64 max = UNDEF.", "1e-9 points"),
        Column("currency", pa.string(), "Currency of the price, for example USD."),
        Column("raw_symbol", pa.string(), "Symbol as the exchange writes it, for example ESH6."),
        Column(
            "unit_of_measure_qty",
            pa.int64(),
            "Contract size: 50e9 is the 50 USD per point of ES. int64 max = UNDEF.",
            "1e-9 units per point",
        ),
        Column(
            "min_price_increment",
            pa.int64(),
            "Tick; int64 max = UNDEF, as for options with a variable tick.",
            "1e-9 points",
        ),
    ),
    spec="3.2",
)

OPTION_STATISTICS: Final = Table(
    "bronze.future_option.statistics",
    "One row per open-interest message (stat_type 9) of an option on the future, in file order.",
    (
        Column("ts_event_ns", pa.int64(), "When the exchange published the figure.", "ns UTC"),
        Column("ts_recv_ns", pa.int64(), "When the message was received.", "ns UTC"),
        Column("source", pa.string(), "Dataset the figure came from, for example GLBX.MDP3."),
        Column("underlying", pa.string(), "Raw symbol of the future the option settles into."),
        Column("option_symbol", pa.string(), "Raw symbol of the option."),
        Column(
            "exp_date", pa.string(), "Expiry date in Chicago, YYYY-MM-DD; null when undefined.", nullable=True
        ),
        Column("strike", pa.float64(), "Strike price.", "points", 0),
        Column("right", pa.string(), "C call, P put.", "code", values=OPTION_RIGHTS),
        Column("open_interest", pa.float64(), "Contracts open at the end of the trade date.", "contracts", 0),
        Column(
            "ts_ref_ns",
            pa.int64(),
            "Trade date the figure refers to, as its instant in the feed; null when undefined.",
            "ns UTC",
            nullable=True,
        ),
    ),
    spec="3.4",
)

SETTLEMENTS: Final = Table(
    "bronze.shared.settlements",
    "One row per settlement price (stat_type 3) of the future and of the options on it, in file order.",
    (
        Column("ts_event_ns", pa.int64(), "When the exchange published the price.", "ns UTC"),
        Column("ts_recv_ns", pa.int64(), "When the message was received.", "ns UTC"),
        Column("source", pa.string(), "Dataset the price came from, for example GLBX.MDP3."),
        Column("symbol", pa.string(), "Raw symbol of the future or option."),
        Column(
            "instrument_class", pa.string(), "F future, C call, P put.", "code", values=("F", *OPTION_RIGHTS)
        ),
        Column("price_int", pa.int64(), "Settlement price.", "1e-9 points"),
        Column(
            "ts_ref_ns",
            pa.int64(),
            "Trade date the price refers to, as its instant in the feed; null when undefined.",
            "ns UTC",
            nullable=True,
        ),
    ),
    spec="3.4, 9.3",
)

STATUS: Final = Table(
    "bronze.shared.status",
    "One row per trading-status message of the instrument, in file order; absent without a status file.",
    (
        Column("ts_recv", pa.int64(), "When the message was received.", "ns UTC"),
        Column("ts_event", pa.int64(), "When the status takes effect.", "ns UTC"),
        Column("publisher_id", pa.uint16(), "Databento's number of the publisher.", "id"),
        Column("instrument_id", pa.uint32(), "The exchange's number of the instrument on that day.", "id"),
        Column(
            "action",
            pa.uint16(),
            "DBN StatusAction: 1 PreOpen, 2 PreCross, 3 Quoting, 4 Cross, 5 Rotation, "
            "6 NewPriceIndication, 7 Trading, 8 Halt, 9 Pause, 10 Suspend, 11 PreClose, 12 Close, "
            "13 PostClose, 14 SsrChange, 15 NotAvailableForTrading, 0 None.",
            "code",
        ),
        Column("reason", pa.uint16(), "DBN StatusReason, 0 = none given.", "code"),
        Column("trading_event", pa.uint16(), "DBN TradingEvent, for example 1 no cancel; 0 = none.", "code"),
        Column("is_trading", DICT_STRING, "Y, N or ~ (unknown): may it trade.", "code"),
        Column("is_quoting", DICT_STRING, "Y, N or ~ (unknown): may it be quoted.", "code"),
        Column(
            "is_short_sell_restricted", DICT_STRING, "Y, N or ~ (unknown); no meaning for futures.", "code"
        ),
    ),
    spec="2.1, 4.8, 4.12",
)

CONTRACT_SELECTION: Final = Table(
    "bronze.shared.mbo_contract_day_selection",
    "One row per session date of a root (ES): the outright contract that traded most the day before.",
    (
        Column("session_date", pa.string(), "The date the choice is for, YYYY-MM-DD.", "date"),
        Column("selected_symbol", pa.string(), "Raw symbol of the chosen contract."),
        Column("selected_exp_date", pa.string(), "Its expiry date in Chicago, YYYY-MM-DD.", "date"),
        Column(
            "prev_trading_date",
            pa.string(),
            "Date whose volume decided; equal to session_date when no earlier date was in the lake.",
            "date",
        ),
        Column(
            "prev_volume_selected", pa.int64(), "Traded volume of the chosen contract on it.", "contracts", 0
        ),
        Column(
            "prev_volume_rank2", pa.int64(), "Volume of the runner-up; 0 when there is none.", "contracts", 0
        ),
        Column(
            "roll_flag",
            pa.int8(),
            "1 when the choice differs from the previous selected date, else 0.",
            "",
            0,
            1,
        ),
    ),
    key=("session_date",),
    spec="3.5",
)

TABLES: Final = (
    FUTURE_MBO,
    OPTION_MBO,
    INSTRUMENT_DEFINITIONS,
    OPTION_STATISTICS,
    SETTLEMENTS,
    STATUS,
    CONTRACT_SELECTION,
)
