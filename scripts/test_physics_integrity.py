"""Check calibration, vacuum, bands and picture of one day (spec 11). Exit code 0, 1 = fail, 2 = missing."""

from spymaster.edge import run_script
from spymaster.verify import verify_physics

if __name__ == "__main__":
    run_script(verify_physics)
