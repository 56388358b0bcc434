"""A part of a generation job's prompts, made by a program of its own.

Slices of one host each are not joined: a job over N of them fans out into N programs that know nothing of each other.
Shard s makes the prompts whose number n, from 0, has

    n mod N = s                                                                                             (1)

so each shard has as many as any other, give or take one, and none need be told how many there are.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Shard:
    """One of `count` parts."""

    index: int
    count: int

    def has(self, number: int) -> bool:
        """Say whether a prompt is of this part, by (1)."""
        return number % self.count == self.index


WHOLE = Shard(0, 1)
"""All prompts: what a job has that does not fan out."""
