"""Kinds of text that a spec holds, each with the words that an error says it in."""

from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, StringConstraints

WORDS: dict[str, str] = {}
"""What each pattern below asks for."""


def _matching(pattern: str, words: str, max_length: int) -> StringConstraints:
    WORDS[pattern] = words
    return StringConstraints(pattern=pattern, min_length=1, max_length=max_length)


DnsLabel = Annotated[
    str, _matching(r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$", "lower-case letters, digits and '-', no '-' at either end", 63)
]
"""A name as DNS allows it (RFC 1123 label)."""

DnsSubdomain = Annotated[
    str,
    _matching(
        r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$",
        "lower-case letters, digits and '-', in parts joined by '.', each ending in a letter or digit",
        253,
    ),
]
"""A Kubernetes object name (RFC 1123 subdomain)."""

LabelKey = Annotated[
    str,
    _matching(
        r"^([a-z0-9]([a-z0-9.-]*[a-z0-9])?/)?[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$",
        "the key of a label, such as cloud.google.com/gce-topology-block",
        317,
    ),
]
"""The key of a label, such as `cloud.google.com/gce-topology-block`."""

EnvironmentName = Annotated[
    str, _matching(r"^[A-Za-z_][A-Za-z0-9_]*$", "letters, digits and '_', not beginning with a digit", 256)
]
"""The name of an environment variable."""


def _as_digits(value: object) -> object:
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


Quantity = Annotated[
    str,
    BeforeValidator(_as_digits),
    _matching(
        r"^[0-9]+(\.[0-9]+)?(m|k|M|G|T|P|Ki|Mi|Gi|Ti|Pi)?$", "a quantity of Kubernetes, such as '8', '500m', '64Gi'", 32
    ),
]
"""A Kubernetes quantity: `8`, `500m`, `64Gi`; a number is read as its digits."""

_HOST = r"([A-Za-z0-9.-]+:[0-9]+|[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+)"
_PIECE = r"[a-z0-9]+((\.|__?|-+)[a-z0-9]+)*"

ImageName = Annotated[
    str,
    _matching(
        rf"^({_HOST}/)?{_PIECE}(/{_PIECE})*(:[A-Za-z0-9_][A-Za-z0-9_.-]{{0,127}})?(@sha256:[0-9a-f]{{64}})?$",
        "a container image, such as registry.example/team/mdctl:1.0: the repository in lower case, then one :tag",
        512,
    ),
]
"""A container image: `registry/repository:tag` or `@sha256:digest`."""

SecretKey = Annotated[str, _matching(r"^[-._a-zA-Z0-9]+$", "letters, digits, '-', '_' and '.'", 253)]
"""A key in a Kubernetes Secret."""


def _with_words(value: str) -> str:
    if not value.strip():
        raise ValueError("is blank; say what the video shows, or leave it out")
    return value


Prompt = Annotated[str, AfterValidator(_with_words)]
"""What a video shows."""

MountPath = Annotated[str, _matching(r"^/[^:]*$", "a path from the root, without ':'", 1024)]
"""A folder inside the container."""
