"""The shards of a chain in processes of their own; their blocks come back in order (spec 7, design 5).

Every process reads all records, since all of them move the clock, and keeps the books of its own strikes.
A pipe holds what its process is ahead by and no more, so memory does not grow with the day.
"""

from __future__ import annotations

import multiprocessing as mp
import signal
from collections.abc import Generator
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import NamedTuple

from data_eng.mbo import BRONZE_MBO_COLUMNS, MboColumns
from data_eng.stage import InputSource, StageError
from data_eng.stages.silver.future_option_mbo.chain import Chain, News
from data_eng.stages.silver.future_option_mbo.gex_shard import Axis, GexShard, ShardBlock


class ShardTask(NamedTuple):
    """Everything a process needs to know; records: where `bronze.future_option_mbo.mbo` is read."""

    records: InputSource
    chain: Chain
    news: News
    axis: Axis
    rate: float
    shards: int
    windows: int


def blocks_of_processes(
    task: ShardTask, counters: list[dict[str, int]]
) -> Generator[list[ShardBlock], None, None]:
    """Blocks of all shards about the same windows, in order of shards; `counters` gets those of every shard.

    Raises what a process raised; `StageError` when one ended without a word (killed, out of memory).
    """
    spawn = mp.get_context("spawn")
    pipes: list[Connection] = []
    children = []
    try:
        for shard in range(task.shards):
            ours, theirs = spawn.Pipe(duplex=False)
            child = spawn.Process(target=_work, args=(task, shard, theirs), daemon=True)
            child.start()
            theirs.close()
            pipes.append(ours)
            children.append(child)
        while True:
            said = [_next(pipe, shard) for shard, pipe in enumerate(pipes)]
            blocks = [one for one in said if isinstance(one, ShardBlock)]
            if not blocks:
                counters.extend(one for one in said if not isinstance(one, ShardBlock))
                return
            yield blocks
    finally:
        for pipe in pipes:
            pipe.close()
        for child in children:
            child.terminate()
            child.join()


def _next(pipe: Connection, shard: int) -> ShardBlock | dict[str, int]:
    try:
        said: ShardBlock | dict[str, int] | BaseException = pipe.recv()
    except EOFError:
        raise StageError(f"the process of option shard {shard} ended without a result (killed?)") from None
    if isinstance(said, BaseException):
        raise said
    return said


def _work(task: ShardTask, shard: int, pipe: Connection) -> None:
    """In a process of its own: send every block, then the counters; or the exception that ended it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends us
    try:
        part = GexShard(
            task.chain, task.news, task.axis, task.rate, shard=shard, shards=task.shards, windows=task.windows
        )
        batches = task.records.iter_batches(list(BRONZE_MBO_COLUMNS))
        for block in part.blocks(MboColumns.from_bronze(batch) for batch in batches if batch.num_rows):
            pipe.send(block)
        pipe.send(part.books.counters())
    except (BrokenPipeError, KeyboardInterrupt):
        return
    except Exception as fault:  # noqa: BLE001 - carried over and raised in the parent
        with suppress(OSError):
            pipe.send(fault)
