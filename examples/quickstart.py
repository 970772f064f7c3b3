"""The last minute of a day as it streams, compared with what the lake holds. A service has to run:

    uv run spymaster serve --lake lake &
    uv run python examples/quickstart.py http://127.0.0.1:8765 lake

Without a second argument (or SPYMASTER_LAKE) the rows are compared with the service's own history.
"""

# ruff: noqa: T201  (an example tells what it found)
import os
import sys

import pyarrow as pa
import pyarrow.parquet as pq

from serving.client import Client

url, lake = sys.argv[1], (sys.argv[2:] or [os.environ.get("SPYMASTER_LAKE")])[0]
with Client(url) as client:
    ends = client.bootstrap()["window_end_ts_ns"].to_pylist()[-60:]
    with client.live(surfaces=["wall"], start_ts_ns=ends[0], speed="max") as stream:
        windows, day = list(stream), stream.hello
    walls = pa.concat_tables([window["wall"] for window in windows])
    if lake:  # plain Parquet, any tool reads it
        folder = f"{lake}/silver/future_mbo/wall_surface_1s/symbol={day['symbol']}/dt={day['dt']}"
        minute = [("window_end_ts_ns", ">=", ends[0]), ("window_end_ts_ns", "<=", ends[-1])]
        stored = pq.read_table(folder, partitioning=None, filters=minute).cast(walls.schema)
    else:
        stored = client.history("wall", start_ts_ns=ends[0] - 1, end_ts_ns=ends[-1])
if [window.window_end_ts_ns for window in windows] != ends or not walls.num_rows:
    sys.exit(f"expected every second once and some walls, found {len(windows)} of {len(ends)} windows")
if not walls.equals(stored):
    sys.exit(f"{walls.num_rows} streamed rows differ from the {stored.num_rows} rows of {lake or 'history'}")
print(f"{day['origin']} {day['symbol']} {day['dt']}: {len(windows)} windows, {walls.num_rows:,} levels,")
print(f"equal to {lake or 'the history over HTTP; name the lake to compare with its files'}")
