"""Full figures of the hostility tests: the same campaigns as tests/hostility, a thousand times.

    uv run python -m benches.faults.kills              # 1,000 kills, about half an hour
    uv run python -m benches.faults.corrupt_inputs     # 10,000 corrupt inputs, about half an hour
    uv run python -m benches.faults.full_disk          # every disk step of a run, a quarter of an hour

Each shows progress, ends with one summary line, and exits with 1 when there was a fault. Ctrl-C ends it in
order, with the summary of what was done. The same --seed gives the same campaign.
"""
