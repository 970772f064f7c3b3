"""The kernels of the options are run as plain Python, too, as `test_book_without_jit` does with the book's.

Compiled code hides from every coverage tool. The same source without the JIT must equal the twins as well,
and every line that is not listed here must have been reached on the way.
"""

from __future__ import annotations

from tests.data_eng.kernels.jitless import report_without_jit

IMPORTED = "runs while the module is imported"
ROUNDING = "where rounding alone leaves nothing to solve, or a bracket of no width"
UNREACHED = {
    "option_book._array": (1, IMPORTED),
    "option_book._rows": (1, IMPORTED),
    "gex._array": (1, IMPORTED),
    "net_gamma._array": (1, IMPORTED),
    "net_gamma.two_to_the": (2, IMPORTED),
    "vector_math.mills_polynomials": (13, IMPORTED),
    "net_gamma._root_between": (1, "200 steps without an end"),
    "net_gamma._turning_point": (
        2,
        "60 halvings without an end; a slope that is not certain where the value is",
    ),
    "black76.implied_total_vol": (3, ROUNDING),
    "black76.implied_vol": (1, ROUNDING),
}
"""module.function -> (how many of its lines are not reached at most, why)"""


def test_the_kernels_without_the_jit_equal_the_twins_and_every_line_is_reached() -> None:
    report = report_without_jit("options_without_jit.py")
    assert report["cases"] >= 12
    assert report["lines"] > 700, "the kernels lost their lines: the tracer sees other files"
    assert set(report["missed"]) <= set(UNREACHED), report["missed"]
    for name, lines in report["missed"].items():
        assert len(lines) <= UNREACHED[name][0], (name, lines)
