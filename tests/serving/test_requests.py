"""Small pure parts: query strings, ranges, negotiation, pages, settings."""

from __future__ import annotations

from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from data_eng.errors import UsageError
from data_eng.units import WINDOW_NS
from serving.negotiation import accepts, choose_encoding, compress, entity_tag, matches
from serving.pages import load_pages
from serving.problems import Problem
from serving.queries import Query, Range, day_range
from serving.settings import load_settings

NAMES = ("symbol", "dt", "start_ts_ns", "speed", "surfaces", "clock", "resume")
EPOCH = "ab" * 32


# ---- queries


def test_a_whole_query_is_read() -> None:
    query = Query(
        f"symbol=ESH6&dt=2026-01-06&start_ts_ns=7&speed=max&surfaces=wall,hud&clock=shared&resume={EPOCH}:5".encode(),
        NAMES,
    )
    assert (query.symbol(), query.dt(), query.int64("start_ts_ns")) == ("ESH6", "2026-01-06", 7)
    assert (query.speed(), query.surfaces(), query.clock()) == (float("inf"), ("wall", "hud"), "shared")
    assert query.resume() == (EPOCH, 5)


def test_nothing_given_is_nothing() -> None:
    query = Query(b"", NAMES)
    assert [query.symbol(), query.dt(), query.speed(), query.clock(), query.resume()] == [None] * 5
    assert query.surfaces() == ("hud",)


@pytest.mark.parametrize(
    ("text", "reader", "code"),
    [
        ("symbol=", "symbol", "bad_symbol"),
        ("symbol=ES%20H6", "symbol", "bad_symbol"),
        ("symbol=ESH6%0A", "symbol", "bad_symbol"),
        ("dt=2026-1-6", "dt", "bad_dt"),
        ("dt=2026-13-01", "dt", "bad_dt"),
        ("dt=%D9%A2026-01-06", "dt", "bad_dt"),
        ("speed=0", "speed", "bad_speed"),
        ("speed=1e2", "speed", "bad_speed"),
        ("speed=1001", "speed", "bad_speed"),
        ("speed=nan", "speed", "bad_speed"),
        ("surfaces=", "surfaces", "unknown_surface"),
        ("surfaces=hud,", "surfaces", "unknown_surface"),
        ("surfaces=hud,hud", "surfaces", "repeated_surface"),
        ("surfaces=hud,HUD", "surfaces", "unknown_surface"),
        ("clock=Private", "clock", "bad_clock"),
        ("resume=5", "resume", "bad_resume"),
        (f"resume={EPOCH}:-1", "resume", "bad_resume"),
        (f"resume={EPOCH}:", "resume", "bad_resume"),
        (f"resume={EPOCH.upper()}:1", "resume", "bad_resume"),
    ],
)
def test_what_is_malformed_is_refused_with_its_word(text: str, reader: str, code: str) -> None:
    with pytest.raises(Problem) as refused:
        getattr(Query(text.encode(), NAMES), reader)()
    assert (refused.value.status, refused.value.code) == (400, code)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("x=1", "unknown_parameter"),
        ("SYMBOL=ESH6", "unknown_parameter"),
        ("dt=2026-01-06&dt=2026-01-06", "repeated_parameter"),
        ("symbol", "malformed_query"),
        ("&&", "malformed_query"),
        ("symbol=%zz%ff", "malformed_query"),
        ("&".join(f"symbol={n}" for n in range(40)), "malformed_query"),
        ("token=abc", "secret_in_query"),
        ("Access_Token=abc", "secret_in_query"),
    ],
)
def test_a_query_that_is_none_is_refused(text: str, code: str) -> None:
    with pytest.raises(Problem) as refused:
        Query(text.encode(), NAMES)
    assert refused.value.code == code


@given(st.binary(max_size=80))
def test_no_bytes_break_the_query(raw: bytes) -> None:
    try:
        query = Query(raw, NAMES)
        query.symbol(), query.dt(), query.speed(), query.surfaces(), query.clock(), query.resume()
        query.int64("start_ts_ns")
    except Problem as problem:
        assert problem.status == 400  # noqa: PT017  # nothing else may come out


# ---- ranges


def ask(start: int | None, end: int | None, default: int | None = 10, limit: int = 20) -> Range:
    return day_range(
        start, end, last_ts_ns=1000 * WINDOW_NS, window_ns=WINDOW_NS, default=default, limit=limit
    )


def test_a_missing_end_or_start_is_filled_in() -> None:
    w = WINDOW_NS
    assert ask(None, None) == Range(990 * w, 1000 * w)
    assert ask(None, 500 * w) == Range(490 * w, 500 * w)
    assert ask(500 * w, None) == Range(500 * w, 510 * w)
    assert ask(480 * w, 500 * w) == Range(480 * w, 500 * w)


@pytest.mark.parametrize(
    ("start", "end", "default", "code"),
    [
        (None, None, None, "range_required"),
        (1, None, None, "range_required"),
        (5, 5, 10, "bad_range"),
        (6, 5, 10, "bad_range"),
        (0, 20 * WINDOW_NS + 1, 10, "range_too_long"),
    ],
)
def test_other_ranges_are_refused(start: int | None, end: int | None, default: int | None, code: str) -> None:
    with pytest.raises(Problem) as refused:
        ask(start, end, default)
    assert refused.value.code == code


# ---- negotiation


@pytest.mark.parametrize(
    ("header", "encoding"),
    [
        (None, "identity"),
        ("", "identity"),
        ("gzip, deflate, br, zstd", "zstd"),
        ("gzip", "gzip"),
        ("GZIP;Q=1", "gzip"),
        ("*", "zstd"),
        ("zstd;q=0, *", "gzip"),
        ("zstd;q=0.1, gzip;q=0.2", "gzip"),
        ("identity;q=1, zstd;q=0.5", "identity"),
        ("br", "identity"),
        ("identity;q=0", None),
        ("*;q=0", None),
        ("*;q=0, gzip", "gzip"),
        ("zstd;q=x", "identity"),
    ],
)
def test_the_best_encoding_that_is_accepted_is_chosen(header: str | None, encoding: str | None) -> None:
    assert choose_encoding(header) == encoding


@pytest.mark.parametrize(
    ("header", "accepted"),
    [
        (None, True),
        ("*/*", True),
        ("application/*", True),
        ("text/html, application/json;q=0.1", True),
        ("text/html", False),
        ("application/json;q=0, */*", False),
    ],
)
def test_media_types_are_matched(header: str | None, accepted: bool) -> None:
    assert accepts(header, "application/json") is accepted


@given(st.text(max_size=60))
def test_no_header_breaks_the_negotiation(header: str) -> None:
    assert choose_encoding(header) in ("zstd", "gzip", "identity", None)
    accepts(header, "application/json")
    matches(header, entity_tag("x"))


@given(st.binary(max_size=5000))
def test_bodies_come_back(body: bytes) -> None:
    import gzip

    assert zstandard.ZstdDecompressor().decompress(compress(body, "zstd"), max_output_size=10_000) == body
    assert gzip.decompress(compress(body, "gzip")) == body
    assert compress(body, "gzip") == compress(body, "gzip"), "no time of day in it"


def test_tags_differ_where_answers_differ() -> None:
    tags = {entity_tag("a"), entity_tag("b"), entity_tag("a", "b"), entity_tag("a", "c")}
    assert len(tags) == 4
    assert matches(f'"x", W/{entity_tag("a")}', entity_tag("a"))
    assert matches("*", entity_tag("a"))
    assert not matches(None, entity_tag("a"))


# ---- pages


def test_pages_are_files_of_known_kinds_only(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("<p>hud</p>")
    (tmp_path / "assets").mkdir()
    (tmp_path / "assets" / "a.js").write_text("1")
    (tmp_path / "notes.py").write_text("secret")
    pages = load_pages(tmp_path)
    assert set(pages) == {"index.html", "assets/a.js"}
    assert pages["index.html"].body == b"<p>hud</p>"
    assert pages["assets/a.js"].media_type.startswith("text/javascript")


def test_without_a_bundle_a_page_says_so(tmp_path: Path) -> None:
    assert b"bundle is missing" in load_pages(tmp_path / "nothing")["index.html"].body


# ---- settings


def test_flags_win_over_environment_over_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "desk.toml"
    file.write_text("[serve]\nport = 1\nmax_clients = 2\nheartbeat_s = 1.5\n")
    monkeypatch.setenv("SPYMASTER_CONFIG", str(file))
    monkeypatch.setenv("SPYMASTER_MAX_CLIENTS", "3")
    monkeypatch.setenv("SPYMASTER_PORT", "4")
    settings = load_settings(port=5, host=None)
    assert (settings.port, settings.max_clients, settings.heartbeat_s) == (5, 3, 1.5)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("port = 1", None),
        ("[serve]\nprot = 1", "prot"),
        ("[serve]\nport = 'x'", "port"),
        ("serve = 3", "no table"),
        ("[serve", "TOML"),
        ("[serve]\nheartbeat_s = 6", "heartbeat_s"),
    ],
)
def test_a_wrong_file_is_told_in_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, what: str | None
) -> None:
    file = tmp_path / "desk.toml"
    file.write_text(text)
    monkeypatch.setenv("SPYMASTER_CONFIG", str(file))
    if what is None:
        assert load_settings().port == 8765, "other tables of the file belong to others"
        return
    with pytest.raises(UsageError, match=what):
        load_settings()


def test_a_refused_setting_says_where_it_stands_what_it_is_and_the_cure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refusal(**flags: object) -> str:
        with pytest.raises(UsageError) as refused:
            load_settings(**flags)
        return str(refused.value)

    file = tmp_path / "desk.toml"
    monkeypatch.setenv("SPYMASTER_CONFIG", str(file))
    file.write_text("[serve]\nport = 70000\n")
    bound = "it should be less than or equal to 65535; change it, or leave it out for 8765"
    assert refusal() == f"port in [serve] of {file} is 70000, {bound}"
    monkeypatch.setenv("SPYMASTER_PORT", "70001")
    assert refusal() == f'SPYMASTER_PORT is "70001", {bound}'
    assert refusal(port=70002) == f"--port is 70002, {bound}"
    monkeypatch.delenv("SPYMASTER_PORT")
    file.write_text("[serve]\nmax_cliens = 3\n")
    assert refusal() == f"there is no setting max_cliens in [serve] of {file}; did you mean max_clients?"
    file.write_text("[serve]\nzzz = 3\n")
    assert "known: lake, symbol," in refusal()
    file.write_text("")
    monkeypatch.setenv("SPYMASTER_ORIGIN", "https://a.example, https://b.example:8443")
    assert load_settings().origin == ("https://a.example", "https://b.example:8443")
    monkeypatch.setenv("SPYMASTER_ORIGIN", "ftp://a.example")
    assert refusal().startswith('SPYMASTER_ORIGIN is "ftp://a.example", it should be the origin of a page')


@pytest.mark.parametrize(
    ("host", "loopback"),
    [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("localhost", True), ("0.0.0.0", False),
     ("::", False), ("10.0.0.1", False), ("localhost.evil.example", False)],
)  # fmt: skip
def test_loopback_is_known(host: str, loopback: bool) -> None:
    assert load_settings(host=host).is_loopback is loopback
