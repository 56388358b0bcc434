"""`mdctl doctor`."""

from collections.abc import Iterator
from itertools import chain
from typing import TYPE_CHECKING

from mdctl.cli import output
from mdctl.cli.connection import Context, Kubeconfig, Namespace, connect
from mdctl.cli.options import Output

if TYPE_CHECKING:
    from mdctl.cli.settings import Settings
    from mdctl.cluster.doctor import Check


def doctor(
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
    form: Output = output.Format.TABLE,
) -> int:
    """See whether a cluster, and your defaults, are ready for jobs.

    A line for each thing: ok; warn, which some jobs can do without; fail, which none can, and then it leaves with 2.
    What is wrong has its fix below it. Nothing is changed.

    \b
    mdctl doctor
    mdctl doctor -n research -o json
    """
    from mdctl.cli.settings import read_settings

    settings, found = read_settings(), []
    for check in chain(_cluster(settings, context, kubeconfig, namespace), _here(settings)):
        if form is output.Format.TABLE:
            output.finding(check.level.value, check.name, check.said, check.fix)
        found.append(check)
    if form is not output.Format.TABLE:
        rows = [{"name": each.name, "level": each.level.value, "said": each.said, "fix": each.fix} for each in found]
        output.rows(rows, form)
    return 2 if any(each.level == "fail" for each in found) else 0


def _cluster(settings: "Settings", *connection: str | None) -> "Iterator[Check]":
    from mdctl.cluster.doctor import Check, Level, diagnose
    from mdctl.spec.errors import ClusterError

    try:
        cluster = connect(*connection)
    except ClusterError as error:
        said, _, fix = str(error).rpartition("; ")
        yield Check(name="cluster", level=Level.FAIL, said=said, fix=fix)
    else:
        yield from diagnose(cluster, settings.queue)


def _here(settings: "Settings") -> "Iterator[Check]":
    """Yield what is right and what is missing on this computer."""
    from mdctl.cli.xpk import find_xpk
    from mdctl.cluster.doctor import Check, Level

    yield _output_dir(settings.output_dir)
    if settings.image is None:
        fix = "build it from the Dockerfile, push it, and `mdctl config set image REGISTRY/NAME:TAG`"
        yield Check(name="image", level=Level.WARN, said="none is set: each job must name one", fix=fix)
    else:
        yield Check(name="image", level=Level.OK, said=settings.image)
    said = find_xpk() or "not found; only --via xpk needs it, and `make xpk` installs it"
    yield Check(name="xpk", level=Level.OK, said=said)


def _output_dir(place: str | None) -> "Check":
    from mdctl.cluster.doctor import Check, Level
    from mdctl.results.opening import open_store
    from mdctl.spec.errors import ResultsError

    if place is None:
        fix = "`mdctl config set output_dir gs://BUCKET/FOLDER`"
        said = "none is set: each job must name its own, and `mdctl list` forgets those that left the cluster"
        return Check(name="output_dir", level=Level.WARN, said=said, fix=fix)
    if not place.startswith("gs://"):
        fix = "`mdctl config set output_dir gs://BUCKET/FOLDER`"
        said = f"{place} is a folder of this computer, which pods do not see"
        return Check(name="output_dir", level=Level.WARN, said=said, fix=fix)
    try:
        count = len(open_store(place).folders())
    except ResultsError as error:
        said, _, fix = str(error).rpartition("; ")
        return Check(name="output_dir", level=Level.FAIL, said=said, fix=fix)
    said = f"{place} is readable from here, with {count} folders; pods write it as the job's serviceAccount"
    return Check(name="output_dir", level=Level.OK, said=said)
