"""The DNS server of the real nodes' pods: services and the names of pods, and nothing outside the cluster."""

from pathlib import Path

from tests.real.network import HOST
from tests.real.parts import COREDNS

DOMAIN = "cluster.local"

_COREFILE = """\
{domain} in-addr.arpa {{
    bind {host}
    errors
    kubernetes {domain} in-addr.arpa {{
        kubeconfig {kubeconfig}
        ttl 1
    }}
}}
. {{
    bind {host}
    template ANY ANY {{
        rcode NXDOMAIN
    }}
}}
"""


def command(folder: Path, kubeconfig: Path) -> list[str]:
    """Return CoreDNS's command line; its configuration is written into a folder."""
    corefile = folder / "Corefile"
    corefile.write_text(_COREFILE.format(host=HOST, domain=DOMAIN, kubeconfig=kubeconfig), encoding="utf-8")
    return [str(COREDNS.binary), "-conf", str(corefile)]
