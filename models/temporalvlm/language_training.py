"""Second stage of language training: questions about crops of recordings, and their answers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, zip_longest

import numpy as np
import torch
from torch import Tensor, nn

from industryasm.recording import Recording
from industryasm.repairs import Repairs
from industryasm.vocabulary import Task
from models.language.examples import Example, language_examples
from models.language.instructions import LANGUAGE_TASKS, LanguageTask
from models.language.recording_crop import crop_recording
from models.temporalvlm.answer import Answer
from models.temporalvlm.config import SegmentationConfig
from models.temporalvlm.greedy_decoding import ReadText
from models.temporalvlm.language_model import LanguageModel
from models.temporalvlm.video import segment_video
from models.temporalvlm.video_crops import Crop, LabelledVideo, VideoCrops
from models.temporalvlm.video_language_model import VideoLanguageModel
from models.training.distributed import device_of
from models.training.loop import seed_of

QUESTIONS = 6
QUESTION_TOKENS = 512
"""Of all questions and answers about a crop together; the first one is asked however long it is."""

SHORT: tuple[LanguageTask, ...] = ("grounding", "highlights")


class LanguageDraws:
    """Draws a crop and questions about it by the number of the draw."""

    def __init__(
        self,
        crops: VideoCrops,
        recordings: Mapping[str, Recording],
        tasks: Mapping[str, Task],
        model: VideoLanguageModel,
    ) -> None:
        self.crops = crops
        self.recordings = recordings
        self.tasks = tasks
        self.model = model

    def loss(self, module: nn.Module, draw: int) -> Tensor:
        """Return the language model's loss on a draw (what `run_loop` calls)."""
        crop = self.crops.crop(draw)
        return _loss(module, self.model.segmentation, crop.video, self.examples(crop, draw))

    def examples(self, crop: Crop, draw: int) -> list[Example]:
        """Return the questions of a draw, at least one; dense captioning can always be asked."""
        recording = crop_recording(self.recordings[crop.video.name], crop.start_s, crop.end_s)
        seed = seed_of(self.crops.seed, "question", draw)
        found = language_examples(recording, self.tasks[recording.task], Repairs(), seed=seed)
        language = self.model.language
        assert language is not None
        return asked_together(found, draw, np.random.default_rng(seed), language)


def asked_together(
    found: Sequence[Example], draw: int, rng: np.random.Generator, language: LanguageModel
) -> list[Example]:
    """Choose from the questions about one video those of a draw: `QUESTIONS` at most.

    The first is of the four tasks in turn, the others of those with short questions. Together they
    have `QUESTION_TOKENS` at most, so that a draw takes no more memory than the longest question of
    the recordings, or these, behind the video's tokens (SmolLM2: 2 MB a token).
    """
    order = rng.permutation(len(found))
    of_task = {
        task: [found[i] for i in order if found[i].question.task == task] for task in LANGUAGE_TASKS
    }
    turn = LANGUAGE_TASKS[draw % len(LANGUAGE_TASKS)]
    chosen = [(of_task[turn] or of_task["dense_captioning"]).pop()]
    room = QUESTION_TOKENS - _num_tokens(language, chosen[0])
    for example in chain.from_iterable(zip_longest(*(of_task[task] for task in SHORT))):
        if example is None or len(chosen) == QUESTIONS:
            continue
        num_tokens = _num_tokens(language, example)
        if num_tokens <= room:
            chosen.append(example)
            room -= num_tokens
    return chosen


def _num_tokens(language: LanguageModel, example: Example) -> int:
    return language.num_tokens(example.instruction, example.answer, example.question.query)


class AskedVideos:
    """Videos that questions are asked about; each is read once, as a whole.

    What is kept of a video takes 46 kB for each of its tokens with SmolLM2.
    """

    def __init__(self, model: VideoLanguageModel, videos: Iterable[LabelledVideo]) -> None:
        self.model = model
        self.videos = {video.name: video for video in videos}
        self._read: dict[str, ReadText] = {}

    def answers(self, examples: Sequence[Example], longest: Sequence[int]) -> list[Answer]:
        """Answer questions, one batch, each with so many tokens at most."""
        about = [self._of(example.recording_id) for example in examples]
        return self.model.answer_about(
            about,
            [example.instruction for example in examples],
            longest,
            [example.question.query for example in examples],
        )

    def _of(self, name: str) -> ReadText:
        if name not in self._read:
            video = self.videos[name]
            cut, _ = segment_video(
                video.features, video.times_s, self.model.segmentation, name=video.name
            )
            (self._read[name],) = self.model.read(cut.to(device_of(self.model)))
        return self._read[name]


@torch.inference_mode()
def mean_loss(
    model: VideoLanguageModel,
    examples: Sequence[Example],
    videos: Mapping[str, LabelledVideo],
) -> float:
    """Return the mean loss on the answers of examples about whole recordings."""
    total = 0.0
    for name in sorted({example.recording_id for example in examples}):
        asked = [example for example in examples if example.recording_id == name]
        total += len(asked) * float(_loss(model, model.segmentation, videos[name], asked))
    return total / len(examples)


def _loss(
    module: nn.Module,
    segmentation: SegmentationConfig,
    video: LabelledVideo,
    examples: Sequence[Example],
) -> Tensor:
    cut, _ = segment_video(video.features, video.times_s, segmentation, name=video.name)
    loss: Tensor = module(
        cut.to(device_of(module)),
        [example.instruction for example in examples],
        [example.answer for example in examples],
        [example.question.query for example in examples],
    )
    return loss
