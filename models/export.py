"""Writes a trained network as a model folder: ONNX to run, safetensors to go on, and its card."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import torch
from safetensors.torch import load_file, save_file

from industryasm.vocabulary import Task
from models.card import ENCODER, ModelCard, ModelError, encoder_file, file_sha256
from models.encoder import quiet_export, strip_traces
from models.step_network import StepNetwork, StepNetworkShape

PARITY = 1e-4  # largest difference of a logit between PyTorch and ONNX Runtime, both in float32


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
    Raises `ModelError` when the exported graph does not compute what the network does.
    """
    folder.mkdir(parents=True, exist_ok=True)
    export_temporal(network, folder / "temporal.onnx")
    save_file(network.state_dict(), folder / "temporal.safetensors")
    shape = network.shape
    card = ModelCard(
        task=task.id,
        vocabulary_hash=task.vocabulary_hash(),
        labels=task.labels(),
        encoder=encoder,
        encoder_sha256=None if encoder is None else file_sha256(encoder_file(encoder)),
        temporal_sha256=file_sha256(folder / "temporal.onnx"),
        feature_dim=shape.feature_dim,
        rate_hz=rate_hz,
        window=shape.chunk.window,
        overlap=shape.chunk.overlap,
        lookahead=shape.chunk.lookahead,
        dim=shape.dim,
        heads=shape.heads,
        hidden=shape.hidden,
        temperature=temperature,
        trained_on=trained_on,
        trained_with=trained_with,
        metrics=metrics,
    )
    card.write(folder)
    return card


def read_network(folder: Path, card: ModelCard) -> StepNetwork:
    """Return the network of a model folder for further training or another export."""
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
        network.load_state_dict(load_file(folder / "temporal.safetensors"))
    except (OSError, RuntimeError) as error:
        raise ModelError(f"model {folder}: temporal.safetensors cannot be used: {error}") from error
    return network.eval()


def export_temporal(network: StepNetwork, path: Path) -> None:
    """Write the network's `forward` as ONNX with a dynamic batch, and compare it at three batches.

    The chunk's length is fixed by the model, so the LSTM's baked-in length does no harm.
    """
    names, outputs = (
        ["features", "present", "hidden", "cell"],
        ["logits", "next_hidden", "next_cell"],
    )
    with quiet_export():
        # The TorchScript exporter writes the LSTM as ONNX's own operator, which every runtime has
        # a kernel for; the newer one writes it out step by step and takes 40 times as long.
        torch.onnx.export(
            network.eval(),
            _example(network, 2, seed=0),
            path,
            dynamo=False,
            opset_version=17,
            input_names=names,
            output_names=outputs,
            dynamic_axes={name: {0: "batch"} for name in names + outputs},
        )
    strip_traces(path)
    session = onnxruntime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
    for size in (1, 2, 5):
        example = _example(network, size, seed=size)
        with torch.inference_mode():
            expected = network(*example)
        feeds = {name: tensor.numpy() for name, tensor in zip(names, example, strict=True)}
        for ours, theirs in zip(expected, session.run(None, feeds), strict=True):
            difference = float(np.abs(ours.numpy() - theirs).max())
            if ours.shape != theirs.shape or difference > PARITY:
                raise ModelError(
                    f"{path}: differs from the network by {difference:.1e} at batch {size}, "
                    f"allowed is {PARITY:.0e}"
                )


def _example(network: StepNetwork, batch: int, *, seed: int) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(seed)
    shape = network.shape
    view = (batch, shape.chunk.view)
    return (
        torch.rand((*view, shape.feature_dim), generator=generator),
        torch.rand(view, generator=generator) > 0.2,
        torch.randn((batch, shape.hidden), generator=generator),
        torch.randn((batch, shape.hidden), generator=generator),
    )
