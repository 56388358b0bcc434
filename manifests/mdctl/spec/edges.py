"""Where the edges of a picture are, as ControlNets of the canny kind want them."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from mdctl.spec.part import Part

Change = Annotated[int, Field(ge=0, le=100_000)]


class Edges(Part):
    """An edge begins where a picture changes by more than `high`, and goes on while it changes by more than `low`."""

    low: Change = 100
    """A step of n levels between two halves of a picture is a change of 4 n."""
    high: Change = 200

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.low > self.high:
            raise ValueError(f"low {self.low} is above high {self.high}; swap them")
        return self
