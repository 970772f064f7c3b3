"""The engine equals its slow twin on anything a feed can deliver."""

from __future__ import annotations

from hypothesis import given

from tests.engine_helpers import assert_equals_twin, pairs
from tests.strategies import pauses, statuses, tidy_streams, wild_streams


@given(tidy_streams(), pauses(), statuses())
def test_engine_equals_twin_on_a_legal_market(recs, closed, status):
    assert_equals_twin(recs, pauses=pairs(closed), status=pairs(status))


@given(wild_streams(), pauses(), statuses())
def test_engine_equals_twin_on_anything(recs, closed, status):
    assert_equals_twin(recs, pauses=pairs(closed), status=pairs(status))
