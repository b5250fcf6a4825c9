"""Two processes of a distributed training, played by two threads."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import torch
from torch import Tensor

from edge3vt.learn.losses import Total


def of_two_processes(loss: Callable[..., Tensor], logits: Tensor, *batch: Tensor) -> tuple[list[float], Tensor]:
    """The loss in each of two processes with half the batch each, and the gradient of their average.

    loss(logits, *batch, total) sees its half of each tensor; its total adds both halves, differentiably.
    """
    meeting, brought = Barrier(2, timeout=10), [torch.empty(0), torch.empty(0)]

    def total_of(rank: int) -> Total:
        def total(sums: Tensor) -> Tensor:
            brought[rank] = sums
            meeting.wait()
            added = brought[0] + brought[1]
            meeting.wait()
            return added

        return total

    def process(rank: int) -> Tensor:
        try:
            return loss(*(part.chunk(2)[rank] for part in (leaf, *batch)), total_of(rank))
        except BaseException:
            meeting.abort()
            raise

    leaf = logits.detach().clone().requires_grad_()
    with ThreadPoolExecutor(2) as threads:
        both = list(threads.map(process, range(2)))
    ((both[0] + both[1]) / 2).backward()
    assert leaf.grad is not None
    return [one.item() for one in both], leaf.grad


def of_one_process(loss: Callable[..., Tensor], logits: Tensor, *batch: Tensor) -> tuple[float, Tensor]:
    """The loss of the whole batch and its gradient."""
    leaf = logits.detach().clone().requires_grad_()
    value = loss(leaf, *batch, lambda sums: sums)
    value.backward()
    assert leaf.grad is not None
    return value.item(), leaf.grad
