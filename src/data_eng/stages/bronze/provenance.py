"""What every stage that reads raw files says of them at its end: to the user, and to the manifest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from data_eng.raw_files import DayReader
from data_eng.stage import StageContext


def provenance(
    context: StageContext,
    reader: DayReader,
    schema: str,
    *,
    examples: Sequence[str] = (),
    findings: Sequence[str] = (),
) -> dict[str, Any]:
    """Warn of all findings -> the arguments of `StageContext.commit` that describe the raw files.

    schema: DBN schema that was read. examples: records out of order, in words. findings: the stage's own.
    """
    warnings = [
        *(f"order: {line}" for line in examples),
        *(f"unverified: {line}" for line in reader.reasons),
        *findings,
    ]
    for line in warnings:
        context.report.warn(line)
    return {
        "warnings": warnings,
        "raw_inputs": context.raw.identity(schema, context.dt),
        "origin": reader.origin,
        "verified": reader.verified,
    }


def counts_of(reader: DayReader) -> dict[str, int]:
    """What a reader counts whatever it reads: records of the day, of other types, of other days."""
    return {
        "records": reader.records,
        "other_rtype_records": reader.skipped,
        "outside_dt_records": reader.outside,
    }
