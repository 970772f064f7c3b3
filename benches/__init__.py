"""Speed and memory as ratios measured in one run against peers, and the C limit (`spymaster bench`).

Laws. 1 Nothing is timed before what is compared was found equal; what is unequal stops the run.
      2 A goal is a ratio of two things measured in the same rounds, one right after the other: absolute
        times drift by a third on a shared machine, ratios do not.
      3 A peer that is not there is said to be missing; its check has no value and is not met.
"""
