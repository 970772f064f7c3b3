"""The declarations against the specification, whose column lists are typed here a second time."""

from __future__ import annotations

import pytest

from data_eng.errors import SchemaError, UsageError
from data_eng.schema import F_FEATURES, TABLES, U_FEATURES, Column, Table, table


def words(text: str) -> list[str]:
    """Names as they stand in a sentence of the specification."""
    return text.split()


DATASETS = words("""
bronze.future_mbo.mbo
bronze.future_option_mbo.mbo
bronze.shared.instrument_definitions
bronze.future_option.statistics
bronze.shared.settlements
bronze.shared.status
bronze.shared.mbo_contract_day_selection
silver.future_mbo.book_snapshot_1s
silver.future_mbo.wall_surface_1s
silver.future_mbo.radar_vacuum_1s
silver.future_mbo.vacuum_surface_1s
silver.future_mbo.physics_bands_1s
silver.future_mbo.physics_context_1s
silver.future_mbo.trade_event
silver.future_option.statistics_clean
silver.future_option_mbo.gex_surface_1s
silver.future_option_mbo.option_quote_1s
silver.future_option_mbo.gex_profile_1s
gold.hud.physics_norm_calibration
gold.hud.hud_surface_1s
""")

DICT = "dictionary<values=string, indices=int8, ordered=0>"
MBO = (
    "ts_recv:int64 ts_event:int64 rtype:uint8 publisher_id:uint16 instrument_id:uint32 action:DICT side:DICT "
    "price:int64 size:uint32 channel_id:uint8 order_id:uint64 flags:uint8 ts_in_delta:int32 sequence:uint32"
)
LEVEL = (
    "window_start_ts_ns:int64 window_end_ts_ns:int64 price_int:int64 side:DICT spot_ref_price_int:int64 "
    "rel_ticks:int16"
)
COMPONENTS = [
    f"{direction}_{band}_{measure}"
    for direction in ("above", "below")
    for band in ("at", "near", "mid", "far")
    for measure in ("wall_strength_norm", "wall_erosion_norm", "vacuum_norm")
]

# name:type, ? = nullable, in the order of spec 3, 5, 6, 7 and 9.2
SPECIFIED = {
    "bronze.future_mbo.mbo": MBO,
    "bronze.future_option_mbo.mbo": MBO
    + " symbol:string underlying:string right:string strike:int64 expiration:int64",
    "bronze.shared.instrument_definitions": (
        "ts_recv:int64 ts_event:int64 instrument_id:uint32 instrument_class:string "
        "security_update_action:string "
        "security_type:string underlying_id:uint32 underlying:string expiration:int64 strike_price:int64 "
        "currency:string raw_symbol:string unit_of_measure_qty:int64 min_price_increment:int64"
    ),
    "bronze.future_option.statistics": (
        "ts_event_ns:int64 ts_recv_ns:int64 source:string underlying:string option_symbol:string "
        "exp_date:string? "
        "strike:double right:string open_interest:double ts_ref_ns:int64?"
    ),
    "bronze.shared.settlements": (
        "ts_event_ns:int64 ts_recv_ns:int64 source:string symbol:string instrument_class:string "
        "price_int:int64 ts_ref_ns:int64?"
    ),
    "silver.future_mbo.book_snapshot_1s": (
        "window_start_ts_ns:int64 window_end_ts_ns:int64 best_bid_price_int:int64 best_bid_qty:int32 "
        "best_ask_price_int:int64 best_ask_qty:int32 mid_price:double mid_price_int:int64 "
        "last_trade_price_int:int64 spot_ref_price_int:int64 book_valid:bool phase:DICT "
        "crossed_event_count:int32 "
        "event_count:int32 buy_qty:int32 sell_qty:int32 trade_count:int32 available_ts_ns:int64"
    ),
    "silver.future_mbo.wall_surface_1s": LEVEL
    + (
        " depth_qty_start:int32 depth_qty_end:int32 add_qty:int32 pull_qty_total:int32 fill_qty:int32 "
        "depth_qty_rest:int32 pull_qty_rest:int32 d1_depth_qty:int32 d2_depth_qty:int32 d3_depth_qty:int32 "
        "window_valid:bool"
    ),
    "silver.future_mbo.vacuum_surface_1s": LEVEL
    + (
        " pull_intensity_rest:float pull_add_log:float d1_pull_add_log:float d2_pull_add_log:float "
        "d3_pull_add_log:float wall_strength_log:float wall_erosion:float vacuum_score:float "
        "window_valid:bool "
        "vacuum_flow_score:float"
    ),
    "silver.future_mbo.physics_bands_1s": (
        "window_start_ts_ns:int64 window_end_ts_ns:int64 spot_ref_price_int:int64 mid_price:double "
        "mid_price_int:int64 "
        + " ".join(f"{name}:double" for name in COMPONENTS)
        + " above_score:double below_score:double vacuum_total_score:double"
    ),
    "silver.future_mbo.physics_context_1s": (
        "window_start_ts_ns:int64 window_end_ts_ns:int64 spot_minus_mid_ticks:double last_trade_age_ns:int64 "
        + " ".join(
            f"{direction}_{band}_level_count:int16 {direction}_{band}_depth_qty:int32"
            for direction in ("above", "below")
            for band in ("at", "near", "mid", "far")
        )
        + " above_touch_score:double below_touch_score:double"
    ),
    "silver.future_mbo.trade_event": (
        "ts_event_ns:int64 ts_recv_ns:int64 sequence:uint32 trade_idx:int32 price_int:int64 qty:int32 "
        "aggressor_side:DICT order_id:uint64 resting_fill_count:int16 resting_fill_qty:int32 "
        "sweep_level_count:int16 is_auction:bool phase:DICT"
    ),
    "silver.future_option.statistics_clean": (
        "ts_event_ns:int64 ts_event_est:string ts_recv_ns:int64 source:string underlying:string "
        "option_symbol:string exp_date:string? strike:double right:string open_interest:double"
    ),
    "silver.future_option_mbo.gex_surface_1s": (
        "window_start_ts_ns:int64 window_end_ts_ns:int64 underlying:string strike_price_int:int64 "
        "underlying_spot_ref:double strike_points:double gex_call_abs:double gex_put_abs:double "
        "gex_abs:double "
        "gex:double gex_imbalance_ratio:double d1_gex_abs:double d2_gex_abs:double d3_gex_abs:double "
        "d1_gex:double "
        "d2_gex:double d3_gex:double d1_gex_imbalance_ratio:double d2_gex_imbalance_ratio:double "
        "d3_gex_imbalance_ratio:double"
    ),
    "silver.future_option_mbo.option_quote_1s": (
        "window_end_ts_ns:int64 instrument_id:uint32 strike_price_int:int64 right:DICT bid_price_int:int64 "
        "ask_price_int:int64 bid_qty:int32 ask_qty:int32 mid_price:double mid_age_s:double "
        "seconds_to_expiry:double open_interest:double open_interest_ts_ns:int64 implied_vol:double? "
        "delta:double? "
        "gamma:double? vega:double? implied_vol_mid_forward:double? reason:DICT"
    ),
    "gold.hud.physics_norm_calibration": (
        "metric_name:string q05:double q95:double lookback_sessions:int32 session_window:string "
        "asof_dt:string"
    ),
    "gold.hud.hud_surface_1s": (
        "window_end_ts_ns:int64 seq:int64 spot_ref_price_int:int64 best_bid_price_int:int64 "
        "best_ask_price_int:int64 mid_price:double book_valid:bool window_valid:bool phase:uint8 "
        "above_score:double below_score:double vacuum_total_score:double above_touch_score:double "
        "below_touch_score:double "
        + " ".join(f"{name}:float" for name in COMPONENTS)
        + " buy_qty:int32 sell_qty:int32 "
        + " ".join(
            f"{plane}_u8:fixed_size_binary[1201]"
            for plane in words("wall_core wall_fog vacuum buy_fill sell_fill gex_abs gex_imbalance side hole")
        )
    ),
}

COUNTS = {
    "book_snapshot_1s": 18,
    "radar_vacuum_1s": 201,
    "physics_bands_1s": 32,
    "gex_surface_1s": 20,
}

F_ORDER = words("""
f1_ask_com_disp_log f1_ask_slope_convex_log f1_ask_slope_inner_log f1_ask_at_share_delta
f1_ask_near_share_delta f1_ask_reprice_away_share_rest
f2_ask_pull_add_log_rest f2_ask_pull_intensity_log_rest f2_ask_at_pull_share_rest f2_ask_near_pull_share_rest
f3_bid_com_disp_log f3_bid_slope_convex_log f3_bid_slope_inner_log f3_bid_at_share_delta
f3_bid_near_share_delta f3_bid_reprice_away_share_rest
f4_bid_pull_add_log_rest f4_bid_pull_intensity_log_rest f4_bid_at_pull_share_rest f4_bid_near_pull_share_rest
f5_vacuum_expansion_log f6_vacuum_decay_log f7_vacuum_total_log f8_ask_bbo_dist_ticks f9_bid_bbo_dist_ticks
""")
U_ORDER = words("""
u1_ask_com_disp_log u2_ask_slope_convex_log u2_ask_slope_inner_log u3_ask_at_share_decay
u3_ask_near_share_decay u4_ask_reprice_away_share_rest u5_ask_pull_add_log_rest u6_ask_pull_intensity_log_rest
u7_ask_at_pull_share_rest u7_ask_near_pull_share_rest u8_bid_com_approach_log u9_bid_slope_support_log
u9_bid_slope_inner_log u10_bid_at_share_rise u10_bid_near_share_rise u11_bid_reprice_toward_share_rest
u12_bid_add_pull_log_rest u13_bid_add_intensity_log u14_bid_far_pull_share_rest u15_up_expansion_log
u16_up_flow_log u17_up_total_log u18_ask_bbo_dist_ticks u19_bid_bbo_dist_ticks
""")


def test_tables_are_exactly_the_datasets_of_the_specification() -> None:
    assert list(TABLES) == DATASETS
    assert all(key == declared.dataset for key, declared in TABLES.items())


@pytest.mark.parametrize("dataset", SPECIFIED)
def test_columns_stand_in_the_order_and_types_of_the_specification(dataset: str) -> None:
    declared = [
        f"{c.name}:{c.type}{'?' if c.nullable else ''}".replace(DICT, "DICT") for c in TABLES[dataset].columns
    ]

    assert declared == SPECIFIED[dataset].split()


def test_every_other_table_is_checked_by_its_own_test() -> None:
    others = set(DATASETS) - set(SPECIFIED)

    assert others == {
        "silver.future_mbo.radar_vacuum_1s",
        "silver.future_option_mbo.gex_profile_1s",
        "bronze.shared.status",
        "bronze.shared.mbo_contract_day_selection",
    }


@pytest.mark.parametrize(("name", "columns"), COUNTS.items())
def test_column_counts_are_those_of_the_specification(name: str, columns: int) -> None:
    assert len(table(name).columns) == columns


def test_radar_features_stand_in_the_order_of_the_specification() -> None:
    assert list(F_FEATURES) == F_ORDER
    assert list(U_FEATURES) == U_ORDER
    assert (len(F_ORDER), len(U_ORDER)) == (25, 24)


def test_radar_columns_are_features_then_their_differences_f_before_u() -> None:
    expected = [
        "window_start_ts_ns",
        "window_end_ts_ns",
        "spot_ref_price",
        "spot_ref_price_int",
        "approach_dir",
    ]
    for features in (F_ORDER, U_ORDER):
        for prefix in ("", "d1_", "d2_", "d3_"):
            expected += [prefix + name for name in features]

    radar = table("radar_vacuum_1s")
    names = [c.name for c in radar.columns]

    assert names == expected
    assert names[5] == "f1_ask_com_disp_log"
    assert names[29] == "f9_bid_bbo_dist_ticks"
    assert names[30] == "d1_f1_ask_com_disp_log"
    assert names[104] == "d3_f9_bid_bbo_dist_ticks"
    assert names[105] == "u1_ask_com_disp_log"
    assert names[128] == "u19_bid_bbo_dist_ticks"
    assert names[129] == "d1_u1_ask_com_disp_log"
    assert names[200] == "d3_u19_bid_bbo_dist_ticks"
    assert {str(c.type) for c in radar.columns[5:]} == {"double"}
    assert [str(c.type) for c in radar.columns[:5]] == ["int64", "int64", "double", "int64", "string"]
    assert radar.column("approach_dir").values == ("approach_up", "approach_down", "approach_none")


def test_gex_profile_holds_a_list_of_flips_and_the_three_conventions() -> None:
    profile = table("gex_profile_1s")

    assert [c.name for c in profile.columns] == words(
        "window_end_ts_ns call_gex put_gex net_gex flip_points gamma_centre_points top_call_strike_points "
        "top_put_strike_points net_oi_call_minus_put net_oi_short_all net_oi_flow convention_min "
        "convention_max"
    )
    assert str(profile.column("flip_points").type.value_type) == "double"


def test_selection_and_status_begin_with_the_columns_of_the_specification() -> None:
    assert [c.name for c in table("mbo_contract_day_selection").columns] == words(
        "session_date selected_symbol selected_exp_date prev_trading_date prev_volume_selected "
        "prev_volume_rank2 roll_flag"
    )
    assert [c.name for c in table("status").columns][:2] == ["ts_recv", "ts_event"]


def test_keys_are_those_of_the_specification() -> None:
    window = ("window_end_ts_ns",)
    level = ("window_end_ts_ns", "side", "price_int")
    keys = {
        "silver.future_mbo.wall_surface_1s": level,
        "silver.future_mbo.vacuum_surface_1s": level,
        "silver.future_mbo.trade_event": ("ts_event_ns", "sequence", "trade_idx"),
        "silver.future_option.statistics_clean": ("option_symbol", "ts_recv_ns"),
        "silver.future_option_mbo.gex_surface_1s": ("window_end_ts_ns", "strike_price_int"),
        # two options of one strike and right can expire on a date (decision 0003)
        "silver.future_option_mbo.option_quote_1s": (
            "window_end_ts_ns",
            "strike_price_int",
            "right",
            "instrument_id",
        ),
        "gold.hud.physics_norm_calibration": ("metric_name",),
        "bronze.shared.mbo_contract_day_selection": ("session_date",),
    }
    for dataset, declared in TABLES.items():
        if dataset in keys:
            assert declared.key == keys[dataset], dataset
        elif dataset.startswith("bronze."):
            assert declared.key == (), f"{dataset} must keep file order"
        else:
            assert declared.key == window, dataset


def test_only_wall_and_vacuum_are_wide() -> None:
    assert [t.name for t in TABLES.values() if t.wide] == ["wall_surface_1s", "vacuum_surface_1s"]


def test_vacuum_rows_describe_the_same_levels_as_wall_rows() -> None:
    wall, vacuum = table("wall_surface_1s"), table("vacuum_surface_1s")

    assert wall.columns[:6] == vacuum.columns[:6]
    assert wall.key == vacuum.key


@pytest.mark.parametrize("declared", TABLES.values(), ids=lambda t: t.dataset)
def test_every_table_and_column_explains_itself(declared: Table) -> None:
    assert declared.doc
    assert declared.spec
    for column in declared.columns:
        assert column.doc.endswith("."), f"{declared.name}.{column.name}"
        needs_unit = column.type not in ("string", "bool") and column.values is None
        numeric = str(column.type) not in ("string", "bool", DICT)
        if needs_unit and numeric and column.name not in ("rtype", "roll_flag"):
            assert column.unit, f"{declared.name}.{column.name} has no unit"


@pytest.mark.parametrize("declared", TABLES.values(), ids=lambda t: t.dataset)
def test_every_price_in_silver_and_gold_says_what_zero_means(declared: Table) -> None:
    certain = {"price_int", "strike_price_int"}  # a level, a strike or a trade always has its price
    if declared.layer == "bronze":
        return
    for column in declared.columns:
        if column.name.endswith("price_int") and column.name not in certain:
            assert column.unit == "1e-9 points"
            if declared.name != "radar_vacuum_1s":
                assert "0 = none" in column.doc, f"{declared.name}.{column.name}"


def test_table_is_found_by_key_and_by_unique_short_name() -> None:
    assert table("gold.hud.hud_surface_1s") is table("hud_surface_1s")


def test_table_refuses_an_ambiguous_short_name_and_names_both() -> None:
    with pytest.raises(UsageError, match=r"bronze\.future_mbo\.mbo or bronze\.future_option_mbo\.mbo"):
        table("mbo")


def test_table_suggests_near_names() -> None:
    with pytest.raises(UsageError, match="did you mean wall_surface_1s"):
        table("wall_surfaces_1s")
    with pytest.raises(UsageError, match="known: mbo"):
        table("?")


def test_a_table_refuses_a_repeated_column_and_an_undeclared_key() -> None:
    window = table("book_snapshot_1s").column("window_end_ts_ns")
    with pytest.raises(SchemaError, match="twice"):
        Table("silver.x.y", "doc", (window, window))
    with pytest.raises(SchemaError, match="not declared"):
        Table("silver.x.y", "doc", (window,), key=("other",))


def test_schema_hash_follows_names_types_nullability_and_key_but_not_words() -> None:
    def variant(**changes: object) -> str:
        parts = {"name": "a_qty", "type": window.type, "doc": "Words.", "nullable": False, **changes}
        key = parts.pop("key", ("window_end_ts_ns",))
        return Table("silver.x.y", "doc", (window, Column(**parts)), key=key).schema_hash  # type: ignore[arg-type] # mixed values

    window = table("book_snapshot_1s").column("window_end_ts_ns")
    base = variant()

    assert variant(doc="Other words.") == base
    assert variant(name="b_qty") != base
    assert variant(type=table("wall_surface_1s").column("rel_ticks").type) != base
    assert variant(nullable=True) != base
    assert variant(key=()) != base


def test_schema_hashes_differ_between_tables() -> None:
    assert len({t.schema_hash for t in TABLES.values()}) == len(TABLES)
