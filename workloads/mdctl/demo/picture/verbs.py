"""The two verbs of `python -m mdctl.demo picture`."""

import argparse
import json
from pathlib import Path

NOT_GOOD_ENOUGH = 1


def run_prepare(arguments: argparse.Namespace) -> int:
    """Fill the folder of pictures."""
    from mdctl.demo.picture.prepare import prepare

    prepare(arguments.folder)
    return 0


def run_report(arguments: argparse.Namespace) -> int:
    """Say which pictures the samples are nearest to; 1 if too few are nearest to what was asked for."""
    from mdctl.demo.picture.report import Runs, figures, report, table

    runs = Runs(samples=arguments.samples, untrained=arguments.untrained, held_out=arguments.held_out)
    found = report(arguments.model, runs, arguments.sheet)
    said = figures(arguments.model, found)
    print(json.dumps(said, indent=2) if arguments.form == "json" else f"{table(said)}\n\n{_shows(arguments.sheet)}")
    return 0 if found.passed else NOT_GOOD_ENOUGH


def _shows(sheet: Path) -> str:
    return f"{sheet} shows pictures on the left and the samples of their captions on the right, chosen evenly by name."


def add_verbs(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `prepare` and `report` of pictures to a parser."""
    prepare = verbs.add_parser("prepare", help="fetch emoji with npm, and write pictures and a model folder")
    prepare.add_argument("folder", metavar="FOLDER", nargs="?", type=Path, default=Path("picture"))
    prepare.set_defaults(run_verb=run_prepare)
    report = verbs.add_parser("report", help="compare samples with pictures; exits 1 if too few are right")
    report.add_argument("--model", type=Path, default=Path("picture/model"), help="beside the pictures")
    report.add_argument(
        "--samples", type=Path, default=Path("outputs/generate-sd15"), help="output of mdctl generate, of all captions"
    )
    report.add_argument("--untrained", type=Path, help="the same of a model that was not trained")
    report.add_argument("--held-out", type=Path, help="the same of the captions that were held out")
    report.add_argument("--sheet", type=Path, default=Path("outputs/picture.png"))
    report.add_argument("-o", dest="form", choices=("table", "json"), default="table")
    report.set_defaults(run_verb=run_report)
