"""Run every stage for one day; silver and gold are always recomputed (spec 8, 11)."""

from spymaster.edge import run_script
from spymaster.run import run_day

if __name__ == "__main__":
    run_script(run_day)
