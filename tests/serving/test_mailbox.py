"""The mailbox of a slow client: bounded, whole windows, oldest first, every loss told exactly once."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from serving.mailbox import Gap, Mailbox

SECOND = 1_000_000_000


@given(
    capacity=st.integers(1, 4),
    doings=st.lists(st.sampled_from(["put", "take"]), max_size=60),
)
def test_what_comes_out_and_the_gaps_are_all_that_went_in(capacity: int, doings: list[str]) -> None:
    box: Mailbox[str] = Mailbox(capacity, 5 * SECOND)
    put, seen = 0, []
    for what in doings:
        if what == "put":
            box.put(put, f"window {put}", put * SECOND)
            put += 1
        elif (taken := box.take()) is not None:
            gap, seq, item = taken
            assert item == f"window {seq}"
            if gap is not None:
                assert gap.to_seq == seq - 1, "a gap precedes the next window"
                assert gap.count == gap.to_seq - gap.from_seq + 1
                seen += range(gap.from_seq, gap.to_seq + 1)
            seen.append(seq)
        assert len(box) <= capacity
    while (taken := box.take()) is not None:
        gap, seq, _ = taken
        seen += range(gap.from_seq, gap.to_seq + 1) if gap else []
        seen.append(seq)
    assert seen == list(range(put)), "every window is received or told as lost, once, in order"
    assert box.take() is None


def test_the_oldest_goes_and_the_gap_grows() -> None:
    box: Mailbox[int] = Mailbox(2, 5 * SECOND)
    for seq in range(6):
        box.put(seq, seq, 0)
    assert box.dropped == 4
    assert box.take() == (Gap(0, 3), 4, 4)
    assert box.take() == (None, 5, 5)


def test_a_client_that_takes_nothing_is_over_the_limit_after_its_patience() -> None:
    box: Mailbox[int] = Mailbox(2, 5 * SECOND)
    for second in range(7):
        box.put(second, second, second * SECOND)
        assert not box.is_over(second * SECOND)  # over since second 2
    box.put(7, 7, 7 * SECOND)
    assert box.is_over(7 * SECOND)


def test_a_client_that_makes_room_in_time_is_borne() -> None:
    box: Mailbox[int] = Mailbox(2, 5 * SECOND)
    for second in range(60):
        box.put(second, second, second * SECOND)
        if second % 4 == 3:
            box.take()
        assert not box.is_over(second * SECOND)
    assert box.dropped > 30
