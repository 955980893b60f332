"""Training of an ensemble on the segments of one split: all its networks at once, by one cycle of the learning rate."""

import dataclasses
import math
from collections.abc import Callable, Sequence

import numpy as np
import torch

from ml4szeq import losses
from ml4szeq.classes import EDGES, NO_EVENT, classified
from ml4szeq.config import Recipe, Task
from ml4szeq.model import FullyConnected
from ml4szeq.neighbours import Kernel, Neighbours
from ml4szeq.scaling import Scaler
from ml4szeq.segments import Segments
from ml4szeq.splits import Split
from ml4szeq.stacked import StackedNetworks
from ml4szeq.trained import Classifier
from ml4szeq.transfer import consistent
from ml4szeq.views import Views
from shared.command import InputError

SHOWS = 20  # how often each training segment is shown to the neighbours' model as if held out
HIDDEN_SHARE = 0.1  # of these, with its whole region hidden
Follow = Callable[[dict[str, float]], None]


@dataclasses.dataclass(frozen=True)
class Lesson:
    """What N segments teach, as the networks are given it."""

    inputs: torch.Tensor  # (N, F) scaled
    prior: torch.Tensor | None  # (S, N, C) logits of the neighbours, of which a step takes one of S
    target: torch.Tensor  # (N,) class
    magnitude: torch.Tensor  # (N,) scaled, NaN without an event
    region: torch.Tensor  # (N,) number of the region, from 1
    weight: torch.Tensor  # (N,) of the class


def check_magnitudes(segments: Segments, parts: Sequence[Split], task: Task) -> None:
    """Refuse, before any work, splits in whose training segments there is no magnitude to be learnt.

    Raises
    ------
    InputError
        A part has fewer than 2 segments with an event to learn from.
    """
    for part in parts if task != "classification" else ():
        if (segments.magnitude[part.train] > NO_EVENT).sum() < 2:
            raise InputError(
                f"{segments.name}, {part.name}: fewer than 2 segments with an event to learn from; a magnitude cannot "
                "be learnt, give --task classification"
            )


def fitted(
    segments: Segments,
    train: np.ndarray,
    recipe: Recipe,
    seed: int,
    *,
    exclusion: float = 0.0,
    labels: np.ndarray | None = None,
    device: torch.device | str = "cpu",
    follow: Follow | None = None,
) -> Classifier:
    """An ensemble trained on the rows ``train`` of ``segments``; the others give their features to the views alone.

    Parameters
    ----------
    segments
        Every row has to have its features, and those of ``train`` a label.
    exclusion
        Distance in km that segments to predict keep from training ones, for the neighbours.
    labels
        Magnitudes (N,) in place of those of the table: for a control with permuted ones.
    follow
        Called after every epoch with its number and mean loss.

    Raises
    ------
    InputError
        There is nothing to be learnt from.
    """
    edges, views = EDGES[recipe.classes], Views(recipe.plain, recipe.relative, recipe.smooth, recipe.region_mean)
    magnitude = segments.magnitude if labels is None else labels
    values = views.derived(segments.table, segments.features)[train]
    table = segments.table.iloc[train]
    magnitude, classes = magnitude[train], classified(magnitude[train], edges)
    known = magnitude > NO_EVENT
    if recipe.task != "classification" and known.sum() < 2:
        raise InputError(f"{segments.name}: fewer than 2 segments with an event; a magnitude cannot be learnt")
    centre, spread = (magnitude[known].mean(), max(magnitude[known].std(), 1e-6)) if known.any() else (0.0, 1.0)
    generator = np.random.default_rng([seed, 1])
    neighbours, prior = None, None
    if recipe.neighbours and recipe.task != "regression":
        neighbours = Neighbours.fit(
            segments.table, segments.features, train, classes, len(edges) + 1, Kernel(), exclusion
        )
        prior = torch.tensor(neighbours.shown(generator, SHOWS, HIDDEN_SHARE), dtype=torch.float32, device=device)
    regions = sorted(set(table["region"]))
    scaler = Scaler.fit(values)
    inputs = scaler.apply(values)
    kept = np.ones(inputs.shape[1], dtype=bool)
    if recipe.consistent:
        kept = consistent(inputs, classes, table["region"].to_numpy())
    target = torch.tensor(classes, device=device)
    number = torch.tensor([regions.index(each) for each in table["region"]])
    weight = torch.ones(len(classes))
    if recipe.weights != "none":
        weight = losses.balanced(torch.tensor(classes), number if recipe.weights == "region" else None)
    lesson = Lesson(
        inputs=torch.tensor(inputs[:, kept], dtype=torch.float32, device=device),
        prior=prior,
        target=target,
        magnitude=torch.tensor(
            np.where(known, (magnitude - centre) / spread, np.nan), dtype=torch.float32, device=device
        ),
        region=(number + 1).to(device),
        weight=weight.to(device),
    )
    members = _trained(lesson, recipe, len(edges) + 1, len(regions), seed, follow)
    return Classifier(
        features=segments.features,
        views=views,
        edges=edges,
        task=recipe.task,
        scaler=scaler,
        kept=tuple(bool(each) for each in kept),
        average=recipe.average,
        regions=tuple(regions),
        centre=float(centre),
        spread=float(spread),
        neighbours=neighbours,
        members=members,
        error=_error(lesson, members) if recipe.task != "classification" else math.nan,
    )


def _trained(
    lesson: Lesson, recipe: Recipe, n_classes: int, n_regions: int, seed: int, follow: Follow | None
) -> list[FullyConnected]:
    """The networks of the ensemble (on the CPU), each on batches of its own."""
    device = lesson.inputs.device
    number, n_inputs = lesson.inputs.shape
    shape = {
        "n_inputs": n_inputs,
        "hidden": recipe.hidden,
        "n_classes": n_classes if recipe.task != "regression" else 0,
        "regression": recipe.task != "classification",
        "dropout": recipe.dropout,
        "batch_norm": recipe.batch_norm,
        "n_regions": n_regions,
        "embedding": recipe.embedding,
    }
    start = torch.Generator().manual_seed(seed)
    networks = [FullyConnected(**shape).begin(start) for _ in range(recipe.members)]
    if lesson.prior is not None:  # the neighbours' vote is where networks begin
        for each in networks:
            torch.nn.init.zeros_(each.classify.weight)
            torch.nn.init.zeros_(each.classify.bias)
    stack = StackedNetworks(networks).to(device).train()
    generator = torch.Generator(device=device).manual_seed(seed)
    weights = [value for name, value in stack.named_parameters() if name.endswith("weight") and value.dim() == 3]
    others = [value for name, value in stack.named_parameters() if not (name.endswith("weight") and value.dim() == 3)]
    optimiser = torch.optim.AdamW(
        [{"params": weights, "weight_decay": recipe.weight_decay}, {"params": others, "weight_decay": 0.0}],
        lr=recipe.learning_rate,
    )
    batch = min(recipe.batch, number)
    steps = number // batch  # a last batch that is cut short would give batch norm one row now and then
    cycle = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, max_lr=recipe.learning_rate, total_steps=steps * recipe.epochs
    )
    for epoch in range(1, recipe.epochs + 1):
        order = torch.rand((recipe.members, number), generator=generator, device=device).argsort(dim=1)
        total = 0.0
        for step in range(steps):
            loss = _loss(stack, lesson, order[:, step * batch : (step + 1) * batch], recipe, generator)
            optimiser.zero_grad()
            loss.sum().backward()  # members do not share weights: their losses may be added
            optimiser.step()
            cycle.step()
            total += float(loss.detach().mean())
        if follow is not None:
            follow({"epoch": epoch, "train_loss": total / steps})
    return [network.cpu() for network in stack.networks()]


def _loss(
    stack: StackedNetworks, lesson: Lesson, rows: torch.Tensor, recipe: Recipe, generator: torch.Generator
) -> torch.Tensor:
    """The loss (M,) of each network on its rows (M, B)."""
    inputs = lesson.inputs[rows]
    if recipe.noise:
        inputs = inputs + recipe.noise * torch.randn(inputs.shape, generator=generator, device=inputs.device)
    logits, magnitude = stack(inputs, lesson.region[rows], generator)
    loss = torch.zeros(rows.shape, device=inputs.device)
    if logits is not None:
        final = logits
        if lesson.prior is not None:
            shown = torch.randint(len(lesson.prior), rows.shape, generator=generator, device=inputs.device)
            final = logits + lesson.prior[shown, rows]
        each = losses.class_loss(final, lesson.target[rows], recipe.loss, recipe.label_smoothing)
        loss = loss + lesson.weight[rows] * each
    if magnitude is not None:
        loss = loss + losses.magnitude_loss(magnitude, lesson.magnitude[rows])
    return loss.mean(dim=1)


def _error(lesson: Lesson, members: list[FullyConnected]) -> float:
    """Root mean square error of the ensemble's scaled magnitude over its own training segments."""
    with torch.no_grad():
        mean = torch.stack([each(lesson.inputs.cpu(), lesson.region.cpu())[1] for each in members]).mean(dim=0)
    gap = (mean - lesson.magnitude.cpu())[~torch.isnan(lesson.magnitude.cpu())]
    return float((gap**2).mean().sqrt())
