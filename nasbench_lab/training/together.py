"""Many networks of one space as one: their weights stacked, and every kind of operation of a slot done once for all.

Activations of m operations are (B, m C, H, W), those of one candidate C channels side by side; a convolution of all of
them is one with m groups, a norm one over m C channels, a linear layer a batched product. Nothing goes from a candidate
to another, so each computes what it would alone, but for rounding. All trainable numbers lie in one vector, their
gradients and momenta in two more, so that a step of SGD is a few operations for any number of candidates, each with its own rate.

Notation: K candidates, B images a step, m operations done as one, P trainable numbers of all candidates.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from nasbench_lab.spaces.frozen import ReadOnly
from nasbench_lab.training.programs import Kind, Operation, Program, program, trained

WAYS = ("grouped", "each")
_IMAGE = -1  # the number of the batch that images are
Place = tuple[int, int]  # batch, row


class _Piece(NamedTuple):
    """Rows of what a batch gave: all of them as they are, a run, or some."""

    batch: int
    rows: slice | Tensor | None


class _Batch:
    """Operations of one kind and slot, done as one.

    Attributes:
        count: m. reads: for each thing read, where its m maps lie. shared: all read the same map, the image's.
        weight, bias, scale, shift: parameters. mean, var: running statistics; None where there are none.
    """

    def __init__(self, kind: Kind, owners: list[int], operations: list[Operation]) -> None:
        self.kind, self.owners, self.operations, self.count = kind, owners, operations, len(operations)
        self.reads: list[list[_Piece]] = []
        self.shared = False
        self.parts: dict[str, nn.Parameter] = {}
        self.mean: Tensor | None = None
        self.var: Tensor | None = None


class Together:
    """Candidates of one space, as one network that trains.

    Args:
        networks: untrained, on the CPU; they are left as they are until `export`.
        streams: of each, which of the batches of images it sees, from 0.
        device: where to. dtype: of everything but images and labels.
        way: "grouped" convolutions, or "each" by itself (everything else together all the same): what is faster depends
            on device, sizes and number.
        bf16: autocast to bfloat16. compile: `torch.compile` the passes.

    Raises:
        ValueError: no candidates, or no such way.
    """

    def __init__(
        self,
        networks: Sequence[nn.Module],
        streams: Sequence[int],
        *,
        device: torch.device,
        dtype: torch.dtype = torch.float32,
        way: str = "grouped",
        bf16: bool = False,
        compile: bool = False,
    ) -> None:
        if not networks or way not in WAYS:
            raise ValueError(f"need candidates and a way of {', '.join(WAYS)}; got {len(networks)} and {way!r}")
        self.networks, self.device, self.dtype, self.way, self.bf16 = list(networks), device, dtype, way, bf16
        programs = [program(network) for network in networks]
        self._batches, self._logits = _scheduled(programs, streams, device)
        self._last_use = _last_uses(self._batches, self._logits)
        self.steps = 0
        self._run: Callable[..., Tensor] = torch.compile(self._logits_of) if compile else self._logits_of
        self._stack([trained(each) for each in programs], programs)

    def _stack(self, live: list[list[bool]], programs: list[Program]) -> None:
        """Parameters as views of one vector, batch by batch; whose each number is, and whether it is trained at all."""
        chunks, owners, alive, views = list[Tensor](), list[Tensor](), list[Tensor](), []
        numbers = [{id(operation): i for i, operation in enumerate(each)} for each in programs]
        at = 0
        for batch in self._batches:
            for name, stacked in _stacked(batch).items():
                size = stacked[0].numel()
                chunks.append(torch.cat([part.detach().reshape(-1) for part in stacked]))
                owners.append(torch.tensor(batch.owners).repeat_interleave(size))
                flags = [live[k][numbers[k][id(o)]] for k, o in zip(batch.owners, batch.operations, strict=True)]
                alive.append(torch.tensor(flags).repeat_interleave(size))
                views.append((batch, name, at, at + size * batch.count, _stacked_shape(batch, name, stacked[0])))
                at += size * batch.count
            if batch.kind.norm:
                batch.mean, batch.var = (
                    torch.cat([getattr(o.norm, name) for o in batch.operations]).to(self.device, self.dtype)
                    for name in ("running_mean", "running_var")
                )
        self.numbers = torch.cat(chunks).to(self.device, self.dtype)
        self.gradients, self.velocity = torch.zeros_like(self.numbers), torch.zeros_like(self.numbers)
        self._owner = torch.cat(owners).to(self.device)
        whole = torch.cat(alive)
        self._alive = None if bool(whole.all()) else whole.to(self.device, self.dtype)
        for batch, name, first, last, shape in views:
            batch.parts[name] = nn.Parameter(self.numbers[first:last].view(shape))
            batch.parts[name].grad = self.gradients[first:last].view(shape)

    def logits(self, images: Tensor, *, training: bool) -> Tensor:
        """(B, streams C, H, W) images, each stream's side by side -> (K, B, classes)."""
        found: Tensor = self._run(images, training)
        return found

    def _logits_of(self, images: Tensor, training: bool) -> Tensor:
        values = {_IMAGE: images}
        with self._autocast():
            for number, batch in enumerate(self._batches):
                values[number] = self._done(batch, values, training)
                for used in self._last_use[number]:
                    del values[used]
            found = _gathered(self._logits, values, self._batches[-1].kind.gives)
        found = found.float() if self.bf16 else found
        return found.view(len(images), len(self.networks), -1).transpose(0, 1)

    def _autocast(self) -> AbstractContextManager[Any]:
        return torch.autocast(self.device.type, dtype=torch.bfloat16) if self.bf16 else nullcontext()

    def _done(self, batch: _Batch, values: dict[int, Tensor], training: bool) -> Tensor:
        """(B, m C, H, W) what the operations of a batch give."""
        kind = batch.kind
        if kind.what == "zero":
            like = values[batch.reads[0][0].batch]
            return like.new_zeros(len(like), batch.count * kind.gives[0], *kind.gives[1:])
        read = [
            values[_IMAGE] if batch.shared else _gathered(pieces, values, given)
            for pieces, given in zip(batch.reads, kind.reads, strict=True)
        ]
        x = functional.relu(read[0]) if kind.before else read[0]
        match kind.what:
            case "conv":
                x = self._convolved(batch, x)
            case "linear":
                x = _linear(batch, x)
            case "avg":
                x = functional.avg_pool2d(x, kind.window, kind.stride, kind.padding, count_include_pad=False)
            case "max":
                x = functional.max_pool2d(x, kind.window, kind.stride, kind.padding)
            case "mean":
                x = x.mean(dim=(2, 3), keepdim=True)
            case "sum":
                x = sum(read[1:], start=x)
        if kind.norm:
            x = functional.batch_norm(x, batch.mean, batch.var, batch.parts["scale"], batch.parts["shift"], training)
        return functional.relu(x) if kind.after else x

    def _convolved(self, batch: _Batch, x: Tensor) -> Tensor:
        weight, kind = batch.parts["weight"], batch.kind
        if self.way == "grouped" or batch.shared or batch.count == 1:
            groups = 1 if batch.shared else batch.count
            return functional.conv2d(x, weight, None, kind.stride, kind.padding, groups=groups)
        pairs = zip(x.chunk(batch.count, dim=1), weight.chunk(batch.count), strict=True)
        return torch.cat([functional.conv2d(a, w, None, kind.stride, kind.padding) for a, w in pairs], dim=1)

    def losses(self, images: Tensor, labels: Tensor, *, training: bool) -> tuple[Tensor, Tensor]:
        """(K,) mean cross-entropy and (K,) right answers, of (K, B) labels, or (1, B) where all see the same."""
        logits = self.logits(images, training=training)
        wanted = labels.expand(len(logits), -1)
        loss = functional.cross_entropy(logits.flatten(0, 1), wanted.reshape(-1), reduction="none")
        return loss.view(wanted.shape).mean(dim=1), (logits.detach().argmax(dim=2) == wanted).sum(dim=1)

    def step(
        self, images: Tensor, labels: Tensor, rates: Tensor, momentum: Tensor, weight_decay: Tensor
    ) -> tuple[Tensor, Tensor]:
        """One step of SGD with Nesterov momentum; the losses and right answers before it, as `losses` gives them.

        Args:
            images, labels: as `losses` takes them.
            rates, momentum, weight_decay: (K,) of each candidate, or (1,) of all.
        """
        self.gradients.zero_()
        loss, right = self.losses(images, labels, training=True)
        loss.sum().backward()  # type: ignore[no-untyped-call]
        with torch.no_grad():
            rate, mass, decay = (x if len(x) == 1 else x[self._owner] for x in (rates, momentum, weight_decay))
            slope = torch.addcmul(self.gradients, self.numbers, decay)
            self.velocity.mul_(mass).add_(slope)
            slope.addcmul_(self.velocity, mass).mul_(rate)
            self.numbers.sub_(slope if self._alive is None else slope.mul_(self._alive))
        self.steps += 1
        return loss.detach(), right

    def state(self) -> dict[str, Any]:
        """Everything the next step depends on."""
        norms = [(batch.mean, batch.var) for batch in self._batches if batch.mean is not None]
        return {"numbers": self.numbers, "velocity": self.velocity, "norms": norms, "steps": self.steps}

    def restore(self, state: dict[str, Any]) -> None:
        """Take such a state, from whatever device."""
        self.numbers.copy_(state["numbers"])
        self.velocity.copy_(state["velocity"])
        own = [batch for batch in self._batches if batch.mean is not None and batch.var is not None]
        for batch, (mean, var) in zip(own, state["norms"], strict=True):
            batch.mean.copy_(mean)  # type: ignore[union-attr]
            batch.var.copy_(var)  # type: ignore[union-attr]
        self.steps = int(state["steps"])

    @torch.no_grad()
    def export(self) -> list[nn.Module]:
        """The networks, with the weights and statistics of now."""
        for batch in self._batches:
            for name, stacked in _stacked(batch).items():
                own = batch.parts[name].detach().view(batch.count, *stacked[0].shape)
                for target, values in zip(stacked, own, strict=True):
                    target.copy_(values)
            if batch.mean is None or batch.var is None:
                continue
            statistics = (batch.mean.view(batch.count, -1), batch.var.view(batch.count, -1))
            for operation, mean, var in zip(batch.operations, *statistics, strict=True):
                norm: Any = operation.norm
                norm.running_mean.copy_(mean)
                norm.running_var.copy_(var)
                norm.num_batches_tracked.fill_(self.steps)
        return self.networks


def _scheduled(
    programs: list[Program], streams: Sequence[int], device: torch.device
) -> tuple[list[_Batch], list[_Piece]]:
    """The batches, in an order in which they can be done, and where the logits of the candidates lie."""
    due: defaultdict[tuple[int, Kind], list[tuple[int, int]]] = defaultdict(list)
    for k, each in enumerate(programs):
        for number, operation in enumerate(each, start=1):
            due[operation.slot, operation.kind].append((k, number))
    place: dict[tuple[int, int], Place] = {(k, 0): (_IMAGE, stream) for k, stream in enumerate(streams)}
    batches = list[_Batch]()
    for (_, kind), wanted in sorted(due.items(), key=lambda item: item[0]):
        # What lies side by side is read side by side.
        wanted.sort(key=lambda who: (place[who[0], programs[who[0]][who[1] - 1].reads[0]], who))
        operations = [programs[k][number - 1] for k, number in wanted]
        batch = _Batch(kind, [k for k, _ in wanted], operations)
        for position in range(len(kind.reads)):
            at = [place[k, operation.reads[position]] for (k, _), operation in zip(wanted, operations, strict=True)]
            batch.reads.append(_pieces(at, batches, streams, device))
        batch.shared = kind.what == "conv" and max(streams) == 0 and batch.reads[0][0].batch == _IMAGE
        for row, who in enumerate(wanted):
            place[who] = (len(batches), row)
        batches.append(batch)
    return batches, _pieces([place[k, len(each)] for k, each in enumerate(programs)], batches, streams, device)


def _pieces(at: list[Place], batches: list[_Batch], streams: Sequence[int], device: torch.device) -> list[_Piece]:
    """Places as runs of one batch each."""
    runs = list[tuple[int, list[int]]]()
    for batch, row in at:
        if not runs or runs[-1][0] != batch:
            runs.append((batch, []))
        runs[-1][1].append(row)
    found = []
    for batch, rows in runs:
        whole = max(streams) + 1 if batch == _IMAGE else batches[batch].count
        if rows == list(range(rows[0], rows[0] + len(rows))):
            found.append(_Piece(batch, None if len(rows) == whole else slice(rows[0], rows[0] + len(rows))))
        else:
            found.append(_Piece(batch, torch.tensor(rows, device=device)))
    return found


def _last_uses(batches: list[_Batch], logits: list[_Piece]) -> list[list[int]]:
    """For every batch, whose results nobody needs after it."""
    last = {piece.batch: number for number, batch in enumerate(batches) for read in batch.reads for piece in read}
    kept = {piece.batch for piece in logits}
    found: list[list[int]] = [[] for _ in batches]
    for used, number in last.items():
        if used not in kept:
            found[number].append(used)
    return found


def _gathered(pieces: list[_Piece], values: dict[int, Tensor], given: tuple[int, ...]) -> Tensor:
    """(B, m C, H, W) of maps `given` (C, H, W)."""
    parts = []
    for batch, rows in pieces:
        value = values[batch]
        if rows is not None:
            maps = value.view(len(value), -1, *given)
            taken = maps[:, rows] if isinstance(rows, slice) else maps.index_select(1, rows)
            value = taken.flatten(1, 2)
        parts.append(value)
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)


def _linear(batch: _Batch, x: Tensor) -> Tensor:
    rows = x.reshape(len(x), batch.count, -1).transpose(0, 1)
    weight = batch.parts["weight"].transpose(1, 2)
    out = torch.baddbmm(batch.parts["bias"][:, None], rows, weight) if batch.kind.bias else torch.bmm(rows, weight)
    return out.transpose(0, 1).reshape(len(x), -1, 1, 1)


def _stacked(batch: _Batch) -> dict[str, list[Tensor]]:
    """The parameters of a batch's operations, by name."""
    found: dict[str, list[Any]] = {}
    if batch.kind.what in ("conv", "linear"):
        found["weight"] = [o.layer.weight for o in batch.operations]  # type: ignore[union-attr]
    if batch.kind.bias:
        found["bias"] = [o.layer.bias for o in batch.operations]  # type: ignore[union-attr]
    if batch.kind.norm:
        found |= {own: [getattr(o.norm, name) for o in batch.operations] for own, name in _NORM.items()}
    return found


_NORM = ReadOnly({"scale": "weight", "shift": "bias"})


def _stacked_shape(batch: _Batch, name: str, one: Tensor) -> tuple[int, ...]:
    """Of m operations' parameter: that of a grouped convolution, a joint norm, or a batched product."""
    if batch.kind.what == "linear" and name in ("weight", "bias"):
        return (batch.count, *one.shape)
    return (batch.count * one.shape[0], *one.shape[1:])


def footprint(network: nn.Module) -> tuple[int, int]:
    """Numbers that an image keeps for the backward pass, and trainable numbers: what memory goes by."""
    kept = sum(
        sum(math.prod(read) for read in operation.kind.reads) + 2 * math.prod(operation.kind.gives)
        for operation in program(network)
    )
    return kept, sum(p.numel() for p in network.parameters())
