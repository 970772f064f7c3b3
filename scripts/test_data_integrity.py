"""Check futures book and radar of one day (spec 11). Exit code 0 = pass, 1 = fail, 2 = missing data."""

from spymaster.edge import run_script
from spymaster.verify import verify_data

if __name__ == "__main__":
    run_script(verify_data)
