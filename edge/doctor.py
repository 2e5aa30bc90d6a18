"""Examines a site: which runtime each station will get, why, and what would be faster here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from time import perf_counter
from typing import get_args

import numpy as np

from edge.cameras.network_camera import masked
from edge.deployment import Deployment, Station
from edge.station_model import load_station_model
from industryasm.fault import UserFault
from models.card import ENCODER
from models.runtime import Encoder, load_encoder
from models.runtimes.graph import RuntimeMissingError, RuntimeName

BATCHES = (1, 8)
"""One camera, and eight whose pictures are encoded together."""

ROUNDS, ROUND_S = 5, 0.12
FASTER = 1.15  # less than that is noise, or not worth a change
NOT_F32 = {"openvino-bf16", "openvino-int8", "tensorrt", "tensorrt-rtx"}


@dataclass(frozen=True)
class Speed:
    """Pictures a second that a runtime encodes by batch size, medians of interleaved rounds."""

    runtime: RuntimeName
    really: str
    per_s: dict[int, float]
    over_onnxruntime: dict[int, float]


@dataclass(frozen=True)
class Plan:
    """What a station will run on; `really` is None, and `why` the fault, where it cannot start."""

    station: str
    source: str
    asked: RuntimeName
    really: str | None
    why: str


@dataclass(frozen=True)
class Diagnosis:
    """What was found; `missing` says of runtimes that are not here how to get them."""

    plans: tuple[Plan, ...]
    speeds: tuple[Speed, ...]
    missing: dict[str, str]
    advice: tuple[str, ...]


def diagnose(deployment: Deployment | None, *, measure: bool = True) -> Diagnosis:
    """Load the encoder on every runtime there is; measure each, unless not to `measure`."""
    encoders: dict[RuntimeName, Encoder] = {}
    missing: dict[str, UserFault] = {}
    for name in get_args(RuntimeName):
        if name == "auto":
            continue
        try:
            encoders[name] = load_encoder(ENCODER, name)
        except UserFault as fault:
            missing[name] = fault
    stations = deployment.stations if deployment else ()
    plans = tuple(_plan(station, encoders, missing) for station in stations)
    speeds = measured(encoders) if measure and "onnxruntime" in encoders else ()
    told = {name: str(fault) for name, fault in missing.items()}
    return Diagnosis(plans, speeds, told, advice(speeds, plans))


def measured(encoders: dict[RuntimeName, Encoder]) -> tuple[Speed, ...]:
    """Time all encoders in turn, round after round, so that a busy moment meets them all."""
    rates: dict[tuple[RuntimeName, int], list[float]] = {
        (name, batch): [] for name in encoders for batch in BATCHES
    }
    for _ in range(ROUNDS):
        for name, batch in rates:
            rates[name, batch].append(_rate(encoders[name], batch))
    typical = {key: median(values) for key, values in rates.items()}
    speeds = [
        Speed(
            name,
            encoder.runtime,
            {batch: round(typical[name, batch], 1) for batch in BATCHES},
            {
                batch: round(typical[name, batch] / typical["onnxruntime", batch], 2)
                for batch in BATCHES
            },
        )
        for name, encoder in encoders.items()
    ]
    return tuple(sorted(speeds, key=lambda speed: -speed.per_s[1]))


def advice(speeds: Sequence[Speed], plans: Sequence[Plan]) -> tuple[str, ...]:
    """Say what would be faster than what the stations, or without any `auto`, run on."""
    by_name = {speed.runtime: speed for speed in speeds}
    asked = {plan.asked for plan in plans} or {"auto"}
    lines = []
    for name in sorted(asked):
        now = by_name.get("onnxruntime" if name == "auto" else name)
        if now is None:
            continue
        for speed in speeds:
            gain = speed.per_s[1] / now.per_s[1]
            if gain >= FASTER:
                care = "; not in f32: compare labels first" if speed.runtime in NOT_F32 else ""
                lines.append(
                    f"runtime: {speed.runtime} instead of {name} encodes {gain:.1f} times as many "
                    f"pictures{care}"
                )
    return tuple(lines)


def _plan(
    station: Station, encoders: dict[RuntimeName, Encoder], missing: dict[str, UserFault]
) -> Plan:
    source = station.camera.source
    shown = masked(source) if "://" in source else source
    asked: RuntimeName = station.runtime
    wanted: RuntimeName = "onnxruntime" if asked == "auto" else asked
    try:
        load_station_model(station)
    except UserFault as fault:
        return Plan(station.id, shown, asked, None, str(fault))
    if wanted in encoders:
        why = "auto is ONNX Runtime, the same everywhere" if asked == "auto" else "as asked for"
        return Plan(station.id, shown, asked, encoders[wanted].runtime, why)
    is_absent = isinstance(missing[wanted], RuntimeMissingError)  # and not damaged
    if station.runtime_fallback and is_absent and "onnxruntime" in encoders:
        really = f"{encoders['onnxruntime'].runtime}, in place of {asked}"
        return Plan(station.id, shown, asked, really, f"runtime_fallback: {missing[wanted]}")
    return Plan(station.id, shown, asked, None, str(missing[wanted]))


def _rate(encoder: Encoder, batch: int) -> float:
    images = np.full((batch, encoder.height, encoder.width, 3), 127, np.uint8)
    num_images, began_s = 0, perf_counter()
    while (elapsed_s := perf_counter() - began_s) < ROUND_S or not num_images:
        encoder.encode(images)
        num_images += batch
    return num_images / elapsed_s
