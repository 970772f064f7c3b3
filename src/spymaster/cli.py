"""The command `spymaster`: one file per verb.

The verb modules are light: each loads pyarrow, numba and the pipeline inside its function, so that
``spymaster --help`` answers at once (design 9, P9).
"""

from __future__ import annotations

from cyclopts import App

from spymaster import __version__
from spymaster.bench import bench
from spymaster.demo import demo
from spymaster.edge import EXIT_CODES, leave_pandas_out, run_app
from spymaster.ingest import ingest
from spymaster.inspect import inspect_file, inspect_flags
from spymaster.lake import lake_doctor, lake_ls, lake_rm
from spymaster.picture import picture
from spymaster.run import run
from spymaster.serve import serve
from spymaster.simulate import simulate
from spymaster.verify import verify

app = App(
    name="spymaster",
    help="Radar for futures order books: Databento MBO files in, one-second surfaces out.",
    help_epilogue=EXIT_CODES,
    version=__version__,
)
app.command(demo)
app.command(simulate)
app.command(ingest)
app.command(run)
app.command(verify)
app.command(serve)
app.command(picture)

inspect_app = App(name="inspect", help="Show what a raw file or a bronze partition holds.")
inspect_app.command(inspect_flags, name="flags")
inspect_app.command(inspect_file, name="file")
app.command(inspect_app)

lake_app = App(name="lake", help="List, check and delete partitions of the lake.")
lake_app.command(lake_ls, name="ls")
lake_app.command(lake_rm, name="rm")
lake_app.command(lake_doctor, name="doctor")
app.command(lake_app)

app.command(bench)


def main() -> int:
    """Entry point; returns the exit code."""
    leave_pandas_out()
    return run_app(app)


if __name__ == "__main__":
    raise SystemExit(main())
