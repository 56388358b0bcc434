"""The entry point of the demo's two verbs."""

import argparse
import sys
from pathlib import Path

from mdctl.spec.errors import MdctlError

NOT_GOOD_ENOUGH = 1


def main() -> int:
    """Run a verb and return the exit code: 1 if the report finds samples too far from their clips."""
    arguments = _parser().parse_args()
    try:
        if arguments.verb == "prepare":
            from mdctl.demo.prepare import prepare

            prepare(arguments.output)
            return 0
        from mdctl.demo.report import report

        return 0 if report(arguments.clips, arguments.run, arguments.sheet) else NOT_GOOD_ENOUGH
    except MdctlError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m mdctl.demo", description="What make demo prepares and reports.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    prepare = verbs.add_parser("prepare", help="fetch three films, cut clips, and write a model folder")
    prepare.add_argument("--output", type=Path, default=Path("demo"))
    report = verbs.add_parser("report", help="compare samples with clips; exits 1 if they are too far off")
    report.add_argument("--clips", type=Path, default=Path("demo/clips"))
    report.add_argument("--run", type=Path, default=Path("outputs/generate-wan"), help="output of mdctl generate")
    report.add_argument("--sheet", type=Path, default=Path("outputs/demo.png"))
    return parser


if __name__ == "__main__":
    sys.exit(main())
