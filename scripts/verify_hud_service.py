"""Check the service over one day, through sockets too (spec 11). Exit code 0, 1 = fail, 2 = missing."""

from spymaster.edge import run_script
from spymaster.verify import verify_hud

if __name__ == "__main__":
    run_script(verify_hud)
