"""Recompute radar_vacuum_1s and touch nothing else (spec 11)."""

from spymaster.edge import run_script
from spymaster.run import run_radar_only

if __name__ == "__main__":
    run_script(run_radar_only)
