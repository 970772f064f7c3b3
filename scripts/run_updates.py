"""Recompute snapshot, wall and radar, then everything that depends on them (spec 11)."""

from spymaster.edge import run_script
from spymaster.run_updates import run_updates

if __name__ == "__main__":
    run_script(run_updates)
