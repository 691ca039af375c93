"""Run the benchmarks named on the command line, or all of them."""

import sys

from benchmarks import (
    bars,
    building,
    capture,
    features,
    history,
    landing,
    merging,
    s3,
    scaling,
    whole,
    windows,
)

BENCHMARKS = {
    "whole": whole.main,
    "history": history.main,
    "landing": landing.main,
    "capture": capture.main,
    "unchanged": building.unchanged_and_one_hour,
    "compaction": building.compaction,
    "merging": merging.main,
    "large": merging.large,
    "features": features.main,
    "growth": features.growth,
    "s3": s3.main,
    "scaling": scaling.main,
    "windows": windows.main,
    "bars": bars.main,
}

for name in sys.argv[1:] or BENCHMARKS:
    BENCHMARKS[name]()
