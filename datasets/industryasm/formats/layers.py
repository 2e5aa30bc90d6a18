"""Which layer of a foreign recording holds the steps, and what becomes of the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from industryasm.formats.foreign import (
    STEP_LAYER,
    ForeignFileError,
    ForeignLayer,
    ForeignRecording,
)
from industryasm.repairs import Repairs


@dataclass(frozen=True)
class ChosenLayers:
    """The layer of the steps, the others, and who made the annotation."""

    steps: ForeignLayer
    others: tuple[ForeignLayer, ...]
    annotator: str | None


def choose_layers(
    recording: ForeignRecording, *, name: str | None, annotator: str | None, repairs: Repairs
) -> ChosenLayers:
    """Choose by `name` and `annotator`, else the one named `steps`, else the only one with rows.

    That only one is counted where it has another name: it may be what was annotated beside the
    steps. Raises `ForeignFileError` naming the layers or annotators there are where that decides
    nothing.
    """
    layers = _of_annotator(recording, annotator, repairs)
    if not layers and name is None:
        return ChosenLayers(ForeignLayer(STEP_LAYER, ()), (), annotator)
    steps = _steps(layers, name, recording.place, repairs)
    others = tuple(layer for layer in layers if layer is not steps)
    return ChosenLayers(steps, others, steps.annotator or annotator)


def _of_annotator(
    recording: ForeignRecording, annotator: str | None, repairs: Repairs
) -> list[ForeignLayer]:
    names = sorted({layer.annotator for layer in recording.layers if layer.annotator})
    if annotator is not None and names and annotator not in names:
        raise ForeignFileError(
            f"{recording.place}: nothing is by annotator {annotator!r}; there are "
            f"{', '.join(names)}"
        )
    kept: list[ForeignLayer] = []
    for layer in recording.layers:
        if annotator is None or layer.annotator in (None, annotator):
            kept.append(layer)
        else:
            repairs.add("layer of another annotator left out", f"{recording.place} {layer.name!r}")
    taken: dict[str, ForeignLayer] = {}
    for layer in kept:
        if layer.name in taken:
            both = f"{taken[layer.name].annotator or 'unknown'} and {layer.annotator or 'unknown'}"
            raise ForeignFileError(
                f"{recording.place}: layer {layer.name!r} was annotated twice, by {both}; choose "
                "one with --annotator"
            )
        taken[layer.name] = layer
    return kept


def _steps(
    layers: Sequence[ForeignLayer], name: str | None, place: str, repairs: Repairs
) -> ForeignLayer:
    named = {layer.name: layer for layer in layers}
    listed = ", ".join(f"{layer.name!r} ({len(layer.rows)} rows)" for layer in layers)
    if name is not None:
        if name not in named:
            raise ForeignFileError(f"{place}: has no layer {name!r}; there are {listed or 'none'}")
        return named[name]
    if STEP_LAYER in named:
        return named[STEP_LAYER]
    filled = [layer for layer in layers if layer.rows]
    if len(filled) <= 1:
        only = (filled or list(layers))[0]
        if only.rows and only.is_named:
            repairs.add("only layer with rows taken for the steps", f"{place} {only.name!r}")
        return only
    raise ForeignFileError(
        f"{place}: has {len(filled)} layers: {listed}; say with --tier which holds the steps"
    )
