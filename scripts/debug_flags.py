"""Count action x flags, snapshots and open events of a DBN file or a bronze partition (spec 11)."""

from spymaster.edge import run_script
from spymaster.inspect import inspect_flags

if __name__ == "__main__":
    run_script(inspect_flags)
