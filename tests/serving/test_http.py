"""The HTTP half over a socket: the bytes of the lake, negotiated, cacheable, limited; refusals."""

from __future__ import annotations

import gzip
import json
import socket
import subprocess
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx2
import pyarrow as pa
import pytest
import zstandard

from data_eng.lake import Lake
from data_eng.units import WINDOW_NS
from serving import wire
from serving.hud_streaming import HudCache
from serving.local import LocalService
from serving.settings import load_settings
from serving.surfaces import SURFACES
from tests.serving.conftest import DT, SYMBOL
from tests.serving.streams import LakeRows, same_bits

SERVED = list(SURFACES)
EMPTY = ("option_quote",)
"""has no rows without option files"""
ARROW = "application/vnd.apache.arrow.stream"


@pytest.fixture(scope="module")
def http(url: str) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=url, trust_env=False, timeout=60) as client:
        yield client


def problem(response: httpx2.Response, status: int, code: str) -> str:
    """The detail of a refusal that has to be this one."""
    assert (response.status_code, response.headers["content-type"]) == (status, "application/problem+json")
    document = response.json()
    assert (document["status"], document["type"]) == (status, f"urn:spymaster:problem:{code}")
    assert document["title"]
    return str(document["detail"])


# ---- rows


@pytest.mark.parametrize("surface", SERVED)
def test_a_range_is_the_lakes_rows_bit_for_bit(
    http: httpx2.Client, tiny: Lake, cache: HudCache, surface: str
) -> None:
    start, end = cache.ts_ns(20), cache.ts_ns(60)
    response = http.get(f"/v1/surfaces/{surface}?symbol={SYMBOL}&dt={DT}&start_ts_ns={start}&end_ts_ns={end}")
    assert (response.status_code, response.headers["content-type"]) == (200, ARROW)
    found = wire.decode(response.content)
    rows = LakeRows(tiny, surface)
    wanted = pa.concat_tables([rows.window(cache.ts_ns(seq)) for seq in range(21, 61)])
    assert (found.num_rows > 0) == (surface not in EMPTY)
    assert same_bits(found, wanted)
    about = {name: response.headers[f"x-hud-{name}"] for name in ("symbol", "surface", "rows")}
    assert about == {"symbol": SYMBOL, "surface": surface, "rows": str(found.num_rows)}


@pytest.mark.parametrize("surface", SERVED)
def test_an_empty_range_keeps_the_schema(http: httpx2.Client, cache: HudCache, surface: str) -> None:
    before = cache.first_ts_ns - 10 * WINDOW_NS
    found = wire.decode(
        http.get(f"/v1/surfaces/{surface}?start_ts_ns={before - 1}&end_ts_ns={before}").content
    )
    assert found.num_rows == 0
    assert found.schema.equals(SURFACES[surface].table.arrow_schema)


def test_the_bootstrap_is_the_last_windows_up_to_a_time(
    http: httpx2.Client, tiny: Lake, cache: HudCache
) -> None:
    response = http.get(f"/v1/hud/bootstrap?end_ts_ns={cache.ts_ns(99)}")
    found = wire.decode(response.content)
    assert same_bits(found, tiny.read(SURFACES["hud"].dataset, SYMBOL, DT).slice(0, 100))
    headers = response.headers
    assert headers["x-hud-start-ts-ns"] == str(cache.first_ts_ns)
    assert headers["x-hud-end-ts-ns"] == str(cache.ts_ns(99))
    assert (headers["x-hud-windows"], headers["x-hud-symbol"], headers["x-hud-dt"]) == ("100", SYMBOL, DT)
    assert headers["x-hud-origin"] == "simulated"
    assert pa.ipc.open_stream(response.content).schema.metadata[b"epoch"].decode() == cache.epoch


def test_a_bootstrap_before_the_day_is_empty_with_its_schema(http: httpx2.Client, cache: HudCache) -> None:
    response = http.get(f"/v1/hud/bootstrap?end_ts_ns={cache.first_ts_ns - WINDOW_NS}")
    found = wire.decode(response.content)
    assert (found.num_rows, response.headers["x-hud-windows"]) == (0, "0")
    assert found.schema.equals(SURFACES["hud"].table.arrow_schema)
    assert {"x-hud-start-ts-ns", "x-hud-end-ts-ns"} <= set(response.headers)


def test_without_a_range_the_last_windows_come(http: httpx2.Client, tiny: Lake) -> None:
    found = wire.decode(http.get("/v1/surfaces/snap").content)
    assert same_bits(found, tiny.read(SURFACES["snap"].dataset, SYMBOL, DT))


# ---- how it goes out


def test_what_is_accepted_decides_the_encoding(http: httpx2.Client) -> None:
    path = "/v1/hud/bootstrap"
    plain = _raw(http, path, None)
    tags = {plain.headers["etag"]}
    for accepted, encoding, unpack in (
        ("gzip, zstd", "zstd", lambda b: zstandard.ZstdDecompressor().decompress(b)),
        ("gzip", "gzip", gzip.decompress),
        ("zstd;q=0.5, gzip;q=0.9", "gzip", gzip.decompress),
    ):
        packed = _raw(http, path, accepted)
        assert packed.headers["content-encoding"] == encoding
        body = b"".join([packed.extensions["raw"]])
        assert len(body) == int(packed.headers["content-length"]) < len(plain.extensions["raw"]) / 5
        assert unpack(body) == plain.extensions["raw"]
        tags.add(packed.headers["etag"])
    assert "content-encoding" not in plain.headers
    assert "accept-encoding" in plain.headers["vary"].lower()
    assert len(tags) == 3, "another encoding is another representation"


def _raw(http: httpx2.Client, path: str, accepted: str | None) -> httpx2.Response:
    request = http.build_request("GET", path)
    del request.headers["accept-encoding"]
    if accepted:
        request.headers["accept-encoding"] = accepted
    response = http.send(request, stream=True)
    response.extensions["raw"] = b"".join(response.iter_raw())
    return response


def test_an_answer_that_is_known_already_is_not_sent_again(http: httpx2.Client, cache: HudCache) -> None:
    for path in ("/v1/hud/bootstrap", "/v1/surfaces/snap", "/v1/hud/day", "/v1/hud/profile", "/v1/levels",
                 "/v1/catalog", f"/v1/explain?ts_ns={cache.first_ts_ns}", "/"):  # fmt: skip
        first = http.get(path)
        assert first.status_code == 200, path
        tag = first.headers["etag"]
        again = http.get(path, headers={"If-None-Match": f'"other", W/{tag}'})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
        assert http.get(path, headers={"If-None-Match": '"other"'}).status_code == 200
    one, other = (http.get(f"/v1/surfaces/snap?end_ts_ns={cache.ts_ns(k)}") for k in (9, 10))
    assert one.headers["etag"] != other.headers["etag"]


def test_large_answers_on_their_way_have_their_places_and_give_them_back(tiny: Lake) -> None:
    settings = load_settings(lake=tiny.root, port=0, max_requests=2, answer_s=3.0, send_buffer_bytes=8192)
    with LocalService(settings) as url:
        parts = urlsplit(url)
        slow = [socket.socket() for _ in range(2)]
        for raw in slow:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            raw.connect((parts.hostname, parts.port))
            raw.sendall(f"GET /v1/hud/bootstrap HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n".encode())
        with httpx2.Client(base_url=url, trust_env=False, timeout=60) as http:
            assert http.get("/healthz").status_code == 200, "what is small needs no place"
            assert http.get("/v1/hud/bootstrap").status_code == 200, "and waits until the slow ones are cut"
            for _ in range(6):  # clients that go away in the middle
                with socket.create_connection((parts.hostname, parts.port)) as raw:
                    raw.sendall(f"GET /v1/hud/bootstrap HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n".encode())
                    raw.recv(100)
            assert http.get("/v1/surfaces/hud").status_code == 200
        for raw in slow:
            raw.close()


def test_what_nobody_sends_is_not_acceptable(http: httpx2.Client) -> None:
    refused = http.get("/v1/hud/bootstrap", headers={"Accept-Encoding": "br;q=1, identity;q=0"})
    problem(refused, 406, "not_acceptable")
    problem(http.get("/v1/hud/bootstrap", headers={"Accept": "application/json"}), 406, "not_acceptable")
    assert http.get("/v1/catalog", headers={"Accept": "application/json"}).status_code == 200


# ---- refusals


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/v1/surfaces/walls", 400, "unknown_surface"),
        ("/v1/surfaces/", 400, "unknown_surface"),
        ("/v1/surfaces/wall", 400, "range_required"),
        ("/v1/surfaces/wall?start_ts_ns=1", 400, "range_required"),
        ("/v1/surfaces/wall?start_ts_ns=0&end_ts_ns=120000000001", 400, "range_too_long"),
        ("/v1/surfaces/vacuum?start_ts_ns=0&end_ts_ns=120000000001", 400, "range_too_long"),
        ("/v1/surfaces/hud?start_ts_ns=0&end_ts_ns=1800000000001", 400, "range_too_long"),
        ("/v1/surfaces/snap?start_ts_ns=0&end_ts_ns=3600000000001", 400, "range_too_long"),
        ("/v1/surfaces/snap?start_ts_ns=5&end_ts_ns=5", 400, "bad_range"),
        ("/v1/surfaces/snap?start_ts_ns=x", 400, "bad_start_ts_ns"),
        ("/v1/surfaces/snap?end_ts_ns=99999999999999999999", 400, "bad_end_ts_ns"),
        ("/v1/surfaces/snap?symbol=esh6", 400, "bad_symbol"),
        ("/v1/surfaces/snap?symbol=ESH612345", 400, "bad_symbol"),
        ("/v1/surfaces/snap?dt=2026-02-30", 400, "bad_dt"),
        ("/v1/surfaces/snap?symbol=NQH6", 404, "unknown_day"),
        ("/v1/surfaces/snap?dt=2026-01-07", 404, "unknown_day"),
        ("/v1/surfaces/snap?rows=5", 400, "unknown_parameter"),
        ("/v1/surfaces/snap?dt=2026-01-06&dt=2026-01-06", 400, "repeated_parameter"),
        ("/v1/surfaces/snap?dt", 400, "malformed_query"),
        ("/v1/surfaces/snap?symbol=%ff", 400, "malformed_query"),
        ("/v1/hud/bootstrap?start_ts_ns=1", 400, "unknown_parameter"),
        ("/v1/hud/day?end_ts_ns=1", 400, "unknown_parameter"),
        ("/v1/explain", 400, "missing_parameter"),
        ("/v1/explain?ts_ns=9000000000000000000", 404, "no_data"),
        ("/healthz?x=1", 400, "unknown_parameter"),
        ("/nothing", 404, "not_found"),
    ],
)
def test_refusals_are_problems_that_say_what_and_why(
    http: httpx2.Client, path: str, status: int, code: str
) -> None:
    detail = problem(http.get(path), status, code)
    assert len(detail) > 10
    assert "/tmp" not in detail, "no path of this machine"


@pytest.mark.parametrize(
    "path", ["/v1/surfaces/gex_profile", "/v1/surfaces/trade", "/v1/hud/profile", "/v1/hud/day"]
)
def test_what_the_lake_does_not_have_is_told_with_the_command_that_makes_it(poor_url: str, path: str) -> None:
    detail = problem(httpx2.get(poor_url + path, trust_env=False), 404, "no_data")
    assert "spymaster run --dt 2026-01-06 --symbol ESH6 --only" in detail
    assert "/tmp" not in detail


def test_a_catalogue_tells_what_is_not_there(poor_url: str, poor: Lake) -> None:
    document = httpx2.get(f"{poor_url}/v1/catalog", trust_env=False).json()
    (day,) = document["days"]
    missing = {name for name, told in day["surfaces"].items() if not told["available"]}
    assert missing == {"gex_profile", "option_quote", "trade"}
    assert "spymaster run" in day["surfaces"]["gex_profile"]["reason"]
    assert day["servable"] is True
    assert str(poor.root) not in json.dumps(document)
    for level in httpx2.get(f"{poor_url}/v1/levels", trust_env=False).json()["levels"]:
        if level["source"] != "bronze.shared.settlements":
            assert level["unavailable"], "without trades there is no level of trades, and each says so"


def test_the_longest_ranges_allowed_are_answered(http: httpx2.Client) -> None:
    for surface, windows in (("hud", 1800), ("wall", 120), ("vacuum", 120), ("snap", 3600), ("gex", 3600)):
        path = f"/v1/surfaces/{surface}?start_ts_ns=0&end_ts_ns={windows * WINDOW_NS}"
        assert http.get(path).status_code == 200, path


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
def test_other_methods_are_refused(http: httpx2.Client, method: str) -> None:
    response = http.request(method, "/v1/catalog")
    problem(response, 405, "method_not_allowed")
    assert "GET" in response.headers["allow"]


def test_head_answers_without_a_body(http: httpx2.Client) -> None:
    response = http.head("/v1/hud/bootstrap")
    assert (response.status_code, response.content) == (200, b"")


def test_there_are_no_tickets_on_loopback(http: httpx2.Client) -> None:
    problem(http.post("/v1/ticket"), 404, "no_tickets")


# ---- the others


def test_health_and_readiness(http: httpx2.Client, cache: HudCache) -> None:
    assert http.get("/healthz").json()["status"] == "ok"
    ready = http.get("/readyz").json()
    assert (ready["status"], ready["epoch"]) == ("ready", cache.epoch)


def test_the_catalogue_tells_days_surfaces_and_limits(
    http: httpx2.Client, tiny: Lake, cache: HudCache
) -> None:
    document = http.get("/v1/catalog").json()
    assert document["default"] == {"symbol": SYMBOL, "dt": DT}
    assert (document["symbols"], document["dts"]) == ([SYMBOL], [DT])
    (day,) = document["days"]
    assert (day["epoch"], day["calibration_id"], day["origin"]) == (
        cache.epoch,
        cache.calibration_id,
        "simulated",
    )
    assert day["first_window"] == {"ts_ns": str(cache.first_ts_ns), "seq": "0"}
    assert day["last_window"] == {"ts_ns": str(cache.last_ts_ns), "seq": "119"}
    assert day["warnings"] == ["no_options"]
    assert list(day["surfaces"]) == list(SURFACES)
    for name in SERVED:
        told, manifest = day["surfaces"][name], tiny.manifest(SURFACES[name].dataset, SYMBOL, DT)
        assert (told["rows"], told["schema_hash"]) == (manifest.row_count, manifest.schema_hash)
        assert told["available"] is True
    assert str(tiny.root) not in json.dumps(document)


def test_metrics_count_what_happened(http: httpx2.Client) -> None:
    def count() -> float:
        text = http.get("/metrics").text
        wanted = 'spymaster_requests_total{endpoint="healthz",status="200"}'
        line = next(one for one in text.splitlines() if one.startswith(wanted))
        return float(line.rsplit(" ", 1)[1])

    http.get("/healthz")
    before = count()
    http.get("/healthz")
    assert count() == before + 1
    text = http.get("/metrics").text
    for name in (
        "clients",
        "windows_sent",
        "windows_dropped",
        "publish_lag_seconds",
        "shared_clock_seq",
        "ring_windows",
    ):
        assert f"spymaster_{name}" in text
    assert 'spymaster_engine_counter{counter="records",dt="2026-01-06",symbol="ESH6"}' in text


def test_every_answer_carries_the_security_headers(http: httpx2.Client) -> None:
    for path in ("/", "/v1/catalog", "/nothing", "/v1/hud/bootstrap", "/v1/surfaces/x"):
        headers = http.get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "*" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert not [name for name in headers if name.startswith("access-control")], "no CORS"


def test_the_page_is_served_at_the_root(http: httpx2.Client) -> None:
    response = http.get("/")
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert "Spymaster" in response.text


def test_describing_documents_are_served(http: httpx2.Client) -> None:
    api = http.get("/v1/openapi.json").json()
    assert api["openapi"].startswith("3.1")
    for path in api["paths"]:
        told = path.replace("{surface}", "snap")
        assert http.get(told).status_code in (200, 400, 404, 405), path
    assert http.get("/v1/asyncapi.json").json()["asyncapi"].startswith("3.")


# ---- paths and heads


@pytest.mark.parametrize(
    "path",
    [
        "/../../../../etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/..%2f..%2fetc%2fpasswd",
        "/static/../app.py",
        "//etc/passwd",
        "/v1/surfaces/../../../etc/passwd",
        "/v1/surfaces/..%2f..%2fsilver",
        "/v1/surfaces/silver.future_mbo.wall_surface_1s",
        "/v1/surfaces/%00",
        "/v1/surfaces/snap?symbol=..%2F..%2Fetc",
        "/v1/surfaces/snap?symbol=ESH6%2F..",
        "/v1/surfaces/snap?dt=..%2F..%2F2026-01-06",
        "/v1/surfaces/snap?dt=2026-01-06%00",
        "/index.html/../../app.py",
    ],
)
def test_no_path_is_made_from_a_request(url: str, path: str) -> None:
    status, body = _ask(
        url, f"GET {path} HTTP/1.1\r\nHost: {urlsplit(url).netloc}\r\nConnection: close\r\n\r\n"
    )
    assert status in (400, 404)
    assert b"root:" not in body
    assert b"import" not in body


def _ask(url: str, request: str) -> tuple[int, bytes]:
    """Status and body of a request written by hand: a client library would tidy it."""
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname, parts.port), timeout=30) as raw:
        raw.sendall(request.encode("latin-1"))
        answer = b""
        while piece := raw.recv(65_536):
            answer += piece
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split(b" ")[1]), body


def test_curl_and_duckdb_could_read_it(url: str, cache: HudCache) -> None:
    """Any Arrow client: the body is a plain IPC stream."""
    body = subprocess.run(
        ["curl", "-s", "--compressed", f"{url}/v1/surfaces/snap"], capture_output=True, check=True, timeout=60
    ).stdout
    assert pa.ipc.open_stream(body).read_all().num_rows == cache.windows
