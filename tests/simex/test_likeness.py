"""Likeness to the real hour: the ranges of exchange.md B9 hold, and docs/simex.md says so as measured."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from simex import likeness

REPOSITORY = Path(__file__).resolve().parents[2]
REAL_HOUR = {
    "mix_A": (33.9, 0.05),
    "mix_C": (30.0, 0.05),
    "mix_M": (20.3, 0.05),
    "mix_T": (5.0, 0.05),
    "mix_F": (10.8, 0.05),
    "single": (0.938, 0.0005),
    "f_per_t": (2.14, 0.005),
    "add_one": (0.746, 0.0005),
    "add_touch": (0.551, 0.0005),
    "life_25": (0.25, 0.005),
    "life_50": (3.1, 0.05),
    "life_75": (26, 1.0),
    "gap_100us": (0.433, 0.0005),
    "gap_1ms": (0.714, 0.0005),
    "fano_1s": (54, 0.5),
    "sign_acf": (0.40, 0.005),
    "spread_1": (0.94, 0.005),
    "touch_bid": (35, 0.5),
    "touch_ask": (32, 1.0),
    "first_t": (1.0, 0.0),
    "unknown": (0, 0.0),
    "crossed": (0, 0.0),
}
"""B9's column "real hour", each with the rounding of that table"""


def test_the_page_is_its_template_and_every_line_of_b9_holds() -> None:
    page = (REPOSITORY / "docs" / "simex.md").read_text(encoding="utf-8")
    template = (REPOSITORY / "src" / "simex" / "likeness_page.md").read_text(encoding="utf-8")
    for part in re.split(r"\{\{\w+\}\}", template):
        assert part in page, "run: uv run python -m simex.likeness --real FILE --out docs/simex.md"
    for check in likeness.CHECKS:
        (row,) = [line for line in page.splitlines() if line.startswith(f"| {check.name} |")]
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        assert cells[1] == f"{check.low:g} - {check.high:g}"
        assert all(check.low <= float(cell) <= check.high for cell in cells[3:-1])
        assert cells[-1] == "yes"
    (picture,) = re.findall(r"\]\((\S+\.png)\)", page)
    assert (REPOSITORY / "docs" / picture).is_file()


def test_the_real_hour_measures_what_the_exchange_page_says_of_it(real_esh4: Path) -> None:
    found = likeness.measure(likeness.read_records(real_esh4))
    for key, (value, rounding) in REAL_HOUR.items():
        assert found[key] == pytest.approx(value, abs=rounding + 1e-9), key


def test_a_simulated_hour_lies_in_every_range() -> None:
    found = likeness.measure(likeness.simulated_hour(likeness.SEEDS[0]))
    outside = [c.name for c in likeness.CHECKS if not c.low <= found[c.key] <= c.high]
    assert outside == []
