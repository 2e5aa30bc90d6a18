"""Writes a trained network as a model folder: ONNX to run, safetensors to go on, and its card."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from industryasm.vocabulary import Task
from models import calibration
from models.card import ENCODER, ModelCard, ModelError, encoder_file, file_sha256
from models.encoder import (
    ENCODER_OPSET,
    FEATURE_DIM,
    IMAGE_SIZE,
    export_encoder,
    quiet_export,
    strip_traces,
)
from models.runtimes.artefact import Comparison
from models.runtimes.graph import Shape, one_line
from models.runtimes.graph_check import Feeds, check_opset, check_parity, check_shapes, random_feeds
from models.runtimes.onnx_runtime import OnnxGraph
from models.step_network import StepNetwork, StepNetworkShape
from models.whole_files import replacing_in

PYTORCH = f"PyTorch {torch.__version__}"
OPSET = 17  # the newest that the TorchScript exporter is complete for; LayerNormalization is in it


def write_model(
    network: StepNetwork,
    folder: Path,
    *,
    task: Task,
    encoder: str | None = ENCODER,
    rate_hz: float,
    temperature: float,
    trained_on: str,
    trained_with: str,
    metrics: dict[str, float],
) -> ModelCard:
    """Write `network` for `task` into `folder` and return its card.

    `encoder` is the image encoder whose features it was trained on; None for published features.
    A calibration that lies there is of another model, and is removed.
    Raises `ModelError` when the exported graph does not compute what the network does, `WriteError`
    when it cannot be written.
    """
    shape = network.shape
    with replacing_in(folder) as scratch:  # a model that is here stays whole until this is done
        graph, weights = scratch / "temporal.onnx", scratch / "temporal.safetensors"
        export_temporal(network, graph)
        save_file(network.state_dict(), weights)
        card = ModelCard(
            task=task.id,
            vocabulary_hash=task.vocabulary_hash(),
            labels=task.labels(),
            encoder=encoder,
            encoder_sha256=None if encoder is None else file_sha256(encoder_file(encoder)),
            temporal_sha256=file_sha256(graph),
            weights_sha256=file_sha256(weights),
            feature_dim=shape.feature_dim,
            rate_hz=rate_hz,
            window=shape.chunk.window,
            overlap=shape.chunk.overlap,
            chunk=shape.chunk.chunk,
            lookahead=shape.chunk.lookahead,
            dim=shape.dim,
            heads=shape.heads,
            hidden=shape.hidden,
            temperature=temperature,
            trained_on=trained_on,
            trained_with=trained_with,
            metrics=metrics,
        )
        card = card.write(scratch)
        (folder / calibration.FILE).unlink(missing_ok=True)
    return card


def read_network(folder: Path, card: ModelCard) -> StepNetwork:
    """Return the network of a model folder for further training or another export.

    Raises `ModelError` when its weights are not there, not those on its card, damaged, of another
    shape or not finite.
    """
    path = folder / "temporal.safetensors"
    network = StepNetwork(
        StepNetworkShape(
            num_labels=len(card.labels),
            feature_dim=card.feature_dim,
            dim=card.dim,
            heads=card.heads,
            hidden=card.hidden,
            chunk=card.chunk_shape(),
        )
    )
    try:
        if path.exists() and not path.is_file():
            raise ModelError(f"model {folder}: temporal.safetensors is no regular file")
        if card.weights_sha256 not in (None, file_sha256(path)):
            raise ModelError(f"model file {path} is not the one its card.json describes (SHA-256)")
        weights = load_file(path)
        network.load_state_dict(weights)
    except FileNotFoundError as error:
        raise ModelError(
            f"model {folder} has no temporal.safetensors, which only running it does not need; "
            "train it again with `linewatch train`"
        ) from error
    except (OSError, RuntimeError, SafetensorError) as error:
        reason = one_line(error)
        raise ModelError(
            f"model {folder}: temporal.safetensors cannot be used: {reason}"
        ) from error
    for name, values in weights.items():
        if not torch.isfinite(values).all():
            raise ModelError(
                f"model {folder}: temporal.safetensors: {name} holds numbers that are not finite: "
                "its training diverged, or it is damaged"
            )
    return network.eval()


def export_temporal(
    network: StepNetwork, path: Path, *, real: dict[str, Feeds] | None = None
) -> tuple[Comparison, ...]:
    """Write the network's `forward` as ONNX with a dynamic batch; return how near it comes.

    It is compared at three batches of random views, and on `real` ones, by where they are from.
    The chunk's length is fixed by the model, so the LSTM's baked-in length does no harm. Raises
    `ModelError` when the file has another opset or shapes, or computes other numbers.
    """
    shape = network.shape
    state = (None, shape.hidden)
    view = (None, shape.chunk.view)
    inputs: dict[str, Shape] = {
        "features": (*view, shape.feature_dim),
        "present": view,
        "hidden": state,
        "cell": state,
    }
    outputs: dict[str, Shape] = {
        "logits": (None, shape.chunk.chunk, shape.num_labels),
        "next_hidden": state,
        "next_cell": state,
    }
    example = tuple(map(torch.from_numpy, random_feeds(inputs, 2).values()))
    with quiet_export():
        # The TorchScript exporter writes the LSTM as ONNX's own operator, which every runtime has
        # a kernel for; the newer one writes it out step by step and takes 40 times as long.
        torch.onnx.export(
            network.eval(),
            example,
            path,
            dynamo=False,
            opset_version=OPSET,
            input_names=[*inputs],
            output_names=[*outputs],
            dynamic_axes={name: {0: "batch"} for name in inputs | outputs},
        )
    strip_traces(path)
    check_opset(path, OPSET)
    graph = OnnxGraph(path)
    check_shapes(graph, inputs, outputs, path)
    return check_parity(graph, torch_function(network), path, against=PYTORCH, real=real)


def export_image_encoder(
    path: Path, *, real: dict[str, Feeds] | None = None
) -> tuple[Comparison, ...]:
    """Write the image encoder as ONNX and compare it, as `export_temporal` does."""
    network = export_encoder(path)
    check_opset(path, ENCODER_OPSET)
    graph = OnnxGraph(path)
    inputs: dict[str, Shape] = {"images": (None, IMAGE_SIZE, IMAGE_SIZE, 3)}
    check_shapes(graph, inputs, {"features": (None, FEATURE_DIM)}, path)
    return check_parity(graph, torch_function(network), path, against=PYTORCH, real=real)


def torch_function(network: torch.nn.Module) -> Callable[[Feeds], list[np.ndarray]]:
    """Return `network` as a function of the arrays that its exported graph takes."""

    def run(feeds: Feeds) -> list[np.ndarray]:
        with torch.inference_mode():
            outputs = network(*map(torch.from_numpy, feeds.values()))
        return [o.numpy() for o in (outputs if isinstance(outputs, tuple) else (outputs,))]

    return run
