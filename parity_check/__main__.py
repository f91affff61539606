"""`python -m parity_check`: what of PyTorch is here, and whether it answers alike."""

import argparse
import json
import sys

import torch

import flashlight
from parity_check import surface, values


def main():
    parser = argparse.ArgumentParser(
        prog="python -m parity_check", description=__doc__.partition(": ")[2]
    )
    parser.add_argument(
        "--format", choices=("console", "json", "markdown"), default="console"
    )
    parser.add_argument(
        "--samples",
        type=int,
        default=3,
        help="calls of each row to compare with torch; 0 counts names only",
    )
    parser.add_argument("--missing", action="store_true", help="name what is absent")
    chosen = parser.parse_args()
    report = make_report(chosen.samples)
    print(FORMATS[chosen.format](report, chosen.missing))
    sys.exit(1 if report["rows"]["wrong"] else 0)


def make_report(samples):
    areas = {
        area: {
            "torch": len(names),
            "here": len(here),
            "missing": sorted(set(names) - set(here)),
        }
        for area, (names, here) in surface.areas().items()
    }
    checked = values.check(samples) if samples else {}
    wrong = {row: w for row, w in checked.items() if w and w != "no sample"}
    return {
        "torch": torch.__version__,
        "flashlight": flashlight.__version__,
        "areas": areas,
        "rows": {
            "total": len(flashlight._C._schemas),
            "agree": sum(w is None for w in checked.values()),
            "no sample": sorted(r for r, w in checked.items() if w == "no sample"),
            "wrong": wrong,
        },
    }


def share(area):
    return f"{100 * area['here'] / max(1, area['torch']):.0f} %"


def rows_line(rows):
    if not rows["agree"] and not rows["wrong"]:
        return f"{rows['total']} rows of operators, none compared"
    return (
        f"{rows['total']} rows of operators: {rows['agree']} agree with torch, "
        f"{len(rows['wrong'])} do not, {len(rows['no sample'])} have no sample here"
    )


def console(report, missing):
    lines = [f"flashlight {report['flashlight']}, torch {report['torch']}", ""]
    for name, area in report["areas"].items():
        lines.append(
            f"{name:26}{area['here']:5} of {area['torch']:5}  {share(area):>6}"
        )
        if missing and area["missing"]:
            lines.append("    " + " ".join(area["missing"]))
    lines += ["", rows_line(report["rows"])]
    lines += [f"  {row}: {what}" for row, what in report["rows"]["wrong"].items()]
    return "\n".join(lines)


def markdown(report, missing):
    lines = [
        f"flashlight {report['flashlight']}, torch {report['torch']}",
        "",
        "| area | here | torch | share |",
        "|---|---:|---:|---:|",
    ]
    for name, area in report["areas"].items():
        lines.append(f"| {name} | {area['here']} | {area['torch']} | {share(area)} |")
    lines += ["", rows_line(report["rows"])]
    for row, what in report["rows"]["wrong"].items():
        lines.append(f"- `{row}`: {what}")
    if missing:
        for name, area in report["areas"].items():
            if area["missing"]:
                lines += ["", f"{name}: " + ", ".join(area["missing"])]
    return "\n".join(lines)


def as_json(report, missing):
    return json.dumps(report, indent=1)


FORMATS = {"console": console, "markdown": markdown, "json": as_json}

if __name__ == "__main__":
    main()
