"""The book's kernel is run as plain Python, too: so its lines are really covered, and it says what it means.

Compiled code hides from every coverage tool. The same source without the JIT must equal the twin as well, and
every line that is not listed here must have been reached on the way.
"""

from __future__ import annotations

from data_eng.kernels import book
from tests.data_eng.kernels.jitless import report_without_jit

OUR_OWN_FAULT = (
    "would be a fault of the kernel itself: the counter must stay 0, and there is no stream for it"
)
UNREACHED = {
    "_change_depth": OUR_OWN_FAULT,  # a negative depth
    "_touch": OUR_OWN_FAULT,  # depth = start + add - pull - fill broken
    "_hold_start": OUR_OWN_FAULT,
    "_finish": OUR_OWN_FAULT,
    "_wall_row": "numpy refuses to store what no int32 holds, before the row is checked",
    "_array": "names the types of the compiled entry while the module is imported",
    "_rows": "names the types of the compiled entry while the module is imported",
}
"""function -> why one line of it is not reached; one line each, no more"""


def test_the_kernel_without_the_jit_equals_the_twin_and_every_line_is_reached() -> None:
    report = report_without_jit("book_without_jit.py")
    assert report["streams"] >= 25
    assert report["lines"] > 900, f"{book.__name__} lost its lines: the tracer sees another file"
    assert set(report["missed"]) == set(UNREACHED), report["missed"]
    assert all(len(lines) == 1 for lines in report["missed"].values()), report["missed"]
