"""Amounts of resources, as Kubernetes writes them: `8`, `500m`, `720Gi`."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from kubernetes.utils.quantity import parse_quantity

Amounts = dict[str, Decimal]

GIB = Decimal(2**30)


def amount(text: object) -> Decimal:
    """Return the number that a quantity is; nothing is none."""
    return Decimal(parse_quantity(str(text))) if text else Decimal(0)  # type: ignore[no-untyped-call] # has no types


def amounts(found: Mapping[str, Any]) -> Amounts:
    """Return a mapping of quantities as numbers."""
    return {name: amount(each) for name, each in found.items()}


def shown(resource: str, number: Decimal) -> str:
    """Return an amount as people read it: memory in GiB, counts as they are."""
    if resource in ("memory", "ephemeral-storage") or resource.startswith("hugepages-"):
        return f"{float(number / GIB):g}Gi"
    return f"{float(number):g}"


def noun(resource: str) -> str:
    """Return what one of a resource is called."""
    return {"google.com/tpu": "TPU chips", "nvidia.com/gpu": "GPUs"}.get(resource, resource)
