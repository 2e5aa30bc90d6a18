"""What an exported graph is judged by: real inputs, and labels on validation recordings."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

from edge.evaluation.label_agreement import Recogniser, label_agreement
from edge.export.inputs import published_sample, real_pictures, video_sample, views
from edge.features import NoPictures
from industryasm.fault import UserFault
from industryasm.recording import DataSet
from industryasm.vocabulary import load_task, task_ids
from models.card import ENCODER, ModelCard, check_fits, encoder_file, read_card, shipped_model
from models.runtime import Encoder, OnnxEncoder, TemporalModel, load_encoder
from models.runtimes.artefact import Agreement
from models.runtimes.graph import Graph
from models.runtimes.graph_check import Feeds
from models.runtimes.onnx_runtime import OnnxGraph


class Yardstick:
    """The f32 encoder and temporal part on ONNX Runtime, and what to show them.

    `card` is that of the model folder `model`, None when the encoder itself is exported; then
    `judge` is the model folder whose labels are compared, by default the shipped one.
    """

    def __init__(
        self, model: Path, card: ModelCard | None, *, data: Path | None, judge: Path | None
    ) -> None:
        self._model, self._card, self._data, self._judge = model, card, data, judge

    @cached_property
    def encoder(self) -> Encoder:
        """The image encoder; `NoPictures` for a model of published features."""
        if self._card is not None and self._card.encoder is None:
            return NoPictures()
        return load_encoder(ENCODER, "onnxruntime")

    @cached_property
    def real(self) -> dict[str, Feeds]:
        """Real inputs by where they are from; none where there is no data set and no sample."""
        card, data = self._card, self._data
        if card is None:
            return real_pictures(data, self.encoder)
        if card.encoder is None:
            found = {} if data is None else published_sample(card, data)
        elif data is None and not self._has_sample(card):
            found = {}
        else:
            found = video_sample(card, self.encoder, data)
        return {origin: views(self._temporal, features) for origin, features in found.items()}

    def agreement(self, graph: Graph) -> Agreement | None:
        """Compare labels with `graph` in the place of what was exported; None without data."""
        if self._data is None:
            return None
        exact: Recogniser = (self.encoder, self._temporal)
        other: Recogniser
        if self._card is None:
            other = (OnnxEncoder(graph, encoder_file(ENCODER)), exact[1])
        else:
            other = (exact[0], TemporalModel(graph, self._card, self._model))
        return label_agreement(self._data, exact, other)

    @cached_property
    def _temporal(self) -> TemporalModel:
        folder = self._model if self._card is not None else self._judge_folder()
        card = read_card(folder)
        if self._data is not None:
            check_fits(card, DataSet(self._data).task(card.task), folder)
        return TemporalModel(OnnxGraph(folder / "temporal.onnx", num_threads=1), card, folder)

    def _judge_folder(self) -> Path:
        if self._judge is not None:
            return self._judge
        assert self._data is not None
        tasks = sorted({r.task for r in DataSet(self._data).split("validation")})
        if len(tasks) != 1:
            raise UserFault(
                f"{self._data}: validation recordings are of tasks {', '.join(tasks) or 'none'}: "
                "name the model to compare the labels of with --with-model"
            )
        return shipped_model(tasks[0])

    @staticmethod
    def _has_sample(card: ModelCard) -> bool:
        if card.task not in task_ids():
            return False
        return load_task(card.task).vocabulary_hash() == card.vocabulary_hash
