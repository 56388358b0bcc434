"""The entry point of the demo's two verbs, and of those about pictures."""

import argparse
import sys
from pathlib import Path

from mdctl.demo.picture.verbs import NOT_GOOD_ENOUGH, add_verbs
from mdctl.spec.errors import MdctlError
from mdctl.spec.outputs import JOB
from mdctl.spec.reading import read_job


def main() -> int:
    """Run a verb and return the exit code: 1 if the report finds samples too far from their clips."""
    arguments = _parser().parse_args()
    try:
        return int(arguments.run_verb(arguments))
    except MdctlError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code


def run_prepare(arguments: argparse.Namespace) -> int:
    """Fill the folder of the demo."""
    from mdctl.demo.prepare import prepare

    prepare(arguments.output)
    return 0


def run_report(arguments: argparse.Namespace) -> int:
    """Say how near the samples of a run are to the clips."""
    from mdctl.demo.report import report
    from mdctl.runtime.devices import configure

    spec = read_job(arguments.run / JOB).spec
    configure(spec)
    return 0 if report(spec, arguments.clips, arguments.run, arguments.sheet) else NOT_GOOD_ENOUGH


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m mdctl.demo", description="What demos prepare and report.")
    verbs = parser.add_subparsers(required=True)
    prepare = verbs.add_parser("prepare", help="fetch three films, cut clips, and write a model folder")
    prepare.add_argument("--output", type=Path, default=Path("demo"))
    prepare.set_defaults(run_verb=run_prepare)
    report = verbs.add_parser("report", help="compare samples with clips; exits 1 if they are too far off")
    report.add_argument("--clips", type=Path, default=Path("demo/clips"))
    report.add_argument("--run", type=Path, default=Path("outputs/generate-wan"), help="output of mdctl generate")
    report.add_argument("--sheet", type=Path, default=Path("outputs/demo.png"))
    report.set_defaults(run_verb=run_report)
    picture = verbs.add_parser("picture", help="the same for make picture: a small text-to-image model of 192 pictures")
    add_verbs(picture.add_subparsers(required=True))
    return parser


if __name__ == "__main__":
    sys.exit(main())
