"""Second stage of language training: questions about crops of recordings, and their answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from industryasm.recording import Recording
from industryasm.repairs import Repairs
from industryasm.vocabulary import Task
from models.language.examples import Example, language_examples
from models.language.instructions import LANGUAGE_TASKS
from models.language.recording_crop import crop_recording
from models.temporalvlm.answer import Answer
from models.temporalvlm.video import collate, segment_video
from models.temporalvlm.video_crops import Crop, LabelledVideo, VideoCrops
from models.temporalvlm.video_language_model import VideoLanguageModel
from models.training.distributed import device_of
from models.training.loop import seed_of


class LanguageDraws:
    """Draws a crop and a question about it, the four tasks in turn, by the number of the draw."""

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
        self.segmentation = model.segmentation

    def loss(self, module: nn.Module, draw: int) -> Tensor:
        """Return the language model's loss on a draw (what `run_loop` calls)."""
        crop = self.crops.crop(draw)
        example = self.example(crop, draw)
        video = crop.video
        videos, _ = segment_video(video.features, video.times_s, self.segmentation, name=video.name)
        loss: Tensor = module(videos.to(device_of(module)), [example.instruction], [example.answer])
        return loss

    def example(self, crop: Crop, draw: int) -> Example:
        """Return the question of a draw; dense captioning where the crop leaves nothing to ask."""
        recording = crop_recording(self.recordings[crop.video.name], crop.start_s, crop.end_s)
        task = self.tasks[recording.task]
        seed = seed_of(self.crops.seed, "question", draw)
        for asked in (LANGUAGE_TASKS[draw % len(LANGUAGE_TASKS)], "dense_captioning"):
            found = language_examples(recording, task, Repairs(), seed=seed, tasks=[asked])
            if found:
                return found[int(np.random.default_rng(seed).integers(len(found)))]
        raise AssertionError("dense captioning can always be asked")


def answer_examples(
    model: VideoLanguageModel,
    examples: Sequence[Example],
    videos: Mapping[str, LabelledVideo],
    *,
    max_new_tokens: int,
) -> list[Answer]:
    """Answer questions, one batch, each about the whole of its recording."""
    cut = [
        segment_video(video.features, video.times_s, model.segmentation, name=video.name)[0]
        for video in (videos[example.recording_id] for example in examples)
    ]
    asked = [example.instruction for example in examples]
    return model.answer(collate(cut).to(device_of(model)), asked, max_new_tokens=max_new_tokens)


def mean_loss(
    model: VideoLanguageModel,
    examples: Sequence[Example],
    videos: Mapping[str, LabelledVideo],
) -> float:
    """Return the mean loss on the answers of examples about whole recordings."""
    losses = []
    for example in examples:
        video = videos[example.recording_id]
        cut, _ = segment_video(video.features, video.times_s, model.segmentation, name=video.name)
        with torch.inference_mode():
            losses.append(
                float(model(cut.to(device_of(model)), [example.instruction], [example.answer]))
            )
    return sum(losses) / len(losses)
