"""The last minute of walls as it streams, compared with the files of the lake. A service has to run:

    uv run spymaster serve --lake lake &
    uv run python examples/quickstart.py http://127.0.0.1:8765 lake

Both arguments may be left out; the lake is then SPYMASTER_LAKE or `lake`. Where there is no such folder, the
minute is compared with the history that the service sends over HTTP.
"""

# ruff: noqa: T201  (an example tells what it found)
import os
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from serving.client import Client, ClientError

defaults = ["http://127.0.0.1:8765", os.environ.get("SPYMASTER_LAKE", "lake")]
url, lake = [*sys.argv[1:3], *defaults[len(sys.argv) - 1 :]]
in_files = Path(lake).is_dir() or len(sys.argv) > 2
try:
    with Client(url) as client:
        ends = client.bootstrap()["window_end_ts_ns"].to_pylist()[-60:]
        with client.live(surfaces=["wall"], clock="private", start_ts_ns=ends[0], speed="max") as stream:
            windows, day = list(stream), stream.hello
        stored = client.history("wall", start_ts_ns=ends[0] - 1, end_ts_ns=ends[-1])
    if in_files:  # plain Parquet, any tool reads it
        folder = f"{lake}/silver/future_mbo/wall_surface_1s/symbol={day['symbol']}/dt={day['dt']}"
        minute = [("window_end_ts_ns", ">=", ends[0]), ("window_end_ts_ns", "<=", ends[-1])]
        stored = pq.read_table(folder, partitioning=None, filters=minute).cast(stored.schema)
except (ClientError, OSError) as error:
    sys.exit(f"quickstart: {error}")
walls = pa.concat_tables([window["wall"] for window in windows])
if len(windows) != len(ends) or not walls.num_rows or not walls.equals(stored):
    sys.exit(f"quickstart: {walls.num_rows} streamed rows differ from the {stored.num_rows} rows stored")
print(f"{day['origin']} {day['symbol']} {day['dt']}: {len(windows)} windows, {walls.num_rows:,} levels,")
print(f"equal to {lake if in_files else 'the history over HTTP'}")
