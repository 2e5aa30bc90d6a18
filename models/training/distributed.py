"""One training in several processes: who is who, what they share, how gradients are averaged.

`torchrun` starts the processes and tells each its place by environment variables. A program that it
did not start is one process, and everything here then does nothing. Knows nothing of what is
trained.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
import torch.distributed as processes
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.distributed_c10d import PrefixStore
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.rendezvous import rendezvous
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.nn.parallel import DistributedDataParallel

from industryasm.fault import UserFault


class DistributedError(UserFault, RuntimeError):
    """The processes cannot be started as asked."""


@contextmanager
def start() -> Iterator[torch.device]:
    """Join the processes that `torchrun` started; yield the device of this one.

    With CUDA that is the GPU of the local rank, and they talk by NCCL; without, the CPU and gloo.
    Put the module there before `run_loop`. Raises `DistributedError` when there are fewer GPUs than
    processes.
    """
    device = own_device()
    if device.type == "cuda":
        torch.cuda.set_device(device)
    if "LOCAL_RANK" not in os.environ:
        yield device
        return
    # torch 2.13 hands all lives of a restarted training one store (rendezvous.py,
    # _create_c10d_store), in which the addresses of the dead still stand: each life gets its own.
    store, rank, world_size = next(rendezvous("env://"))
    life = PrefixStore(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0"), store)
    processes.init_process_group(
        "nccl" if device.type == "cuda" else "gloo",
        store=life,
        rank=rank,
        world_size=world_size,
        device_id=device if device.type == "cuda" else None,
    )
    yield device
    # Not after an error: NCCL would wait here for the others, which wait for this process, and
    # torchrun, which ends them when one has failed, would never see that it has.
    processes.destroy_process_group()


def own_device() -> torch.device:
    """Return the GPU of this process, or the CPU where there is no GPU.

    Raises `DistributedError` when there are fewer GPUs than processes.
    """
    if not torch.cuda.is_available():
        return torch.device("cpu")
    local_rank = int(os.environ.get("LOCAL_RANK", "0"))
    if local_rank >= torch.cuda.device_count():
        raise DistributedError(
            f"process {local_rank} has no GPU: there are {torch.cuda.device_count()}; give "
            "torchrun --nproc-per-node no more than that"
        )
    return torch.device("cuda", local_rank)


def rank() -> int:
    """Return the number of this process, 0 .. `num_processes()` - 1."""
    return processes.get_rank() if processes.is_initialized() else 0


def num_processes() -> int:
    """Return how many processes train together."""
    return processes.get_world_size() if processes.is_initialized() else 1


def writes() -> bool:
    """Return whether this is the process that writes files."""
    return rank() == 0


def wait() -> None:
    """Return when all processes have come here."""
    if processes.is_initialized():
        processes.barrier()


def device_of(module: nn.Module) -> torch.device:
    """Return where the module is, and where what it reads must be brought."""
    return next(module.parameters()).device


def gathered(values: Sequence[float], device: torch.device) -> list[float]:
    """Return the values of all processes: first the first of each, then the second of each."""
    table = torch.zeros(len(values), num_processes(), dtype=torch.float64, device=device)
    table[:, rank()] = torch.tensor(values, dtype=torch.float64, device=device)
    if processes.is_initialized():
        processes.all_reduce(table)
    everything: list[float] = table.flatten().tolist()
    return everything


def replicated(module: nn.Module) -> nn.Module:
    """Return the module so that its gradients are averaged over the processes (DDP).

    Parameters that a loss does not use are looked for at every step: which these are is known only
    then (the step head has no part in the language loss, and a draw may pass a layer over), and DDP
    waits for ever for the gradient of one that it expects. That costs a walk over the graph.
    """
    if not processes.is_initialized():
        return module
    wrapped: nn.Module = DistributedDataParallel(
        module, find_unused_parameters=True, forward_sync_buffers=False
    )
    return wrapped


def shard(module: nn.Module) -> None:
    """Spread the parameters, frozen ones too, over the processes, in place (FSDP2).

    The items of each `ModuleList`, which is where layers stand, are gathered one at a time. Every
    process must have built the module alike, and each draw must use the same parameters of it.
    Raises `DistributedError` outside `torchrun`.
    """
    if not processes.is_initialized():
        raise DistributedError("only processes that torchrun started can share a model")
    mesh = init_device_mesh(device_of(module).type, (num_processes(),))
    layers = [item for m in module.modules() if isinstance(m, nn.ModuleList) for item in m]
    scalars = {p for p in module.parameters() if p.ndim == 0}  # fully_shard takes none: each whole
    for scalar in scalars:
        if scalar.requires_grad:
            scalar.register_post_accumulate_grad_hook(_average_gradient)  # type: ignore[no-untyped-call]
    for part in [*reversed(layers), module]:  # inner layers first, as fully_shard asks
        fully_shard(part, mesh=mesh, ignored_params=scalars)


def _average_gradient(parameter: Tensor) -> None:
    # After each draw; what earlier draws have left is the same everywhere, and stays so.
    assert parameter.grad is not None
    processes.all_reduce(parameter.grad)
    parameter.grad /= num_processes()


@contextmanager
def accumulating(module: nn.Module, *, last: bool) -> Iterator[None]:
    """Average gradients over the processes after the last backward pass of a step only."""
    if isinstance(module, FSDPModule):
        module.set_requires_gradient_sync(last)
        yield
    elif isinstance(module, DistributedDataParallel) and not last:
        with module.no_sync():
            yield
    else:
        yield


@contextmanager
def gathered_parameters(module: nn.Module) -> Iterator[None]:
    """Hold whole parameters of a sharded module, so that any method of it can be called."""
    parts = [part for part in module.modules() if isinstance(part, FSDPModule)]
    for part in parts:
        part.unshard()
    yield
    for part in parts:
        part.reshard()


def whole(tensor: Tensor) -> Tensor:
    """Return a tensor on the CPU; one that is sharded is put together, by all processes at once."""
    full = tensor.detach()
    if isinstance(full, DTensor):
        full = full.full_tensor()
    return full.cpu().contiguous()


def norm(tensors: Sequence[Tensor]) -> float:
    """Return the norm of all tensors together, of which some may be sharded."""
    sharded = [t for t in tensors if isinstance(t, DTensor)]
    plain = [t for t in tensors if not isinstance(t, DTensor)]
    groups = [group for group in (sharded, plain) if group]
    return math.hypot(*(whole(torch.nn.utils.get_total_norm(group)).item() for group in groups))


def spread(tensor: Tensor, like: Tensor) -> Tensor:
    """Return a whole tensor where `like` is and, when that is sharded, this process's part."""
    moved = tensor.to(like.device)
    if not isinstance(like, DTensor):
        return moved
    return distribute_tensor(moved, like.device_mesh, like.placements, src_data_rank=None)
