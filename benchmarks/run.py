"""Run every benchmark, print one table for each kind, and write benchmarks/results.json.

``python benchmarks/run.py --quick`` takes the small cases only.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
from datetime import date
from importlib.metadata import version
from pathlib import Path

import bench_amp
import bench_continuized
import bench_diagonal
import bench_gossip
import bench_gossip_waves
import bench_lasso
import bench_single_index
import bench_site
import bench_two_timescale

RESULTS = Path(__file__).with_name("results.json")
SUITES = {
    "lasso": bench_lasso.run,
    "diagonal": bench_diagonal.run,
    "two_timescale": bench_two_timescale.run,
    "continuized": bench_continuized.run,
    "gossip": bench_gossip.run,
    "waves": bench_gossip_waves.run,
    "amp": bench_amp.run,
    "single_index": bench_single_index.run,
    "site": bench_site.run,
}


def machine() -> dict[str, str | int | None]:
    """Where and with what the numbers were measured."""
    return {
        "date": date.today().isoformat(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        **{name: version(name) for name in ("numpy", "scipy", "numba", "scikit-learn")},
    }


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def table(rows: list[dict]) -> str:
    """Lay rows out in columns, numbers to three digits."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    cells = [columns] + [[_text(row.get(column)) for column in columns] for row in rows]
    widths = [max(len(row[i]) for row in cells) for i in range(len(columns))]
    lines = (
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        for row in cells
    )
    return "\n".join(line.rstrip() for line in lines)


def _text(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else "" if value is None else str(value)


def main() -> None:
    """Run the suites asked for, and store what all of them say."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("suites", nargs="*", help=f"of {', '.join(SUITES)}; all if none")
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    unknown = set(arguments.suites) - set(SUITES)
    if unknown:
        parser.error(f"unknown suites: {', '.join(sorted(unknown))}")
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    for name in arguments.suites or SUITES:
        rows = SUITES[name](arguments.quick)
        print(f"\n{name}\n{table(rows)}")
        if not arguments.quick:
            results[name] = {"machine": machine(), "rows": rows}
    if not arguments.quick:
        RESULTS.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
