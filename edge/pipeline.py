"""From frames to findings: the data's way through the edge, one line per stage.

The same object serves a live station, `linewatch monitor` and evaluation of recordings.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from edge.cameras.frame import Frame
from edge.window import Chunk, RollingWindow
from industryasm.procedure import Procedure
from industryasm.segment import Segment
from industryasm.vocabulary import Task
from models.alarm_judge import AlarmJudge
from models.calibration import AlarmScale, read_calibration
from models.card import shipped_model
from models.confusion import Confusion
from models.decoder import DecoderConfig, StreamDecoder
from models.deviations import CycleMonitor, Finding, MonitorConfig
from models.runtime import Encoder, TemporalModel, encoder_of, load_model

LONGEST_GAP_S = 1.0
"""A longer time without a picture is a stretch in which the work could not be seen."""


@dataclass
class StepStream:
    """Features of one stream to label probabilities, chunk by chunk, LSTM state carried on."""

    model: TemporalModel
    _window: RollingWindow = field(init=False)
    _state: tuple[np.ndarray, np.ndarray] = field(init=False)

    def __post_init__(self) -> None:
        card = self.model.card
        self._window = RollingWindow(
            card.chunk_shape(), feature_dim=card.feature_dim, rate_hz=card.rate_hz
        )
        self._state = self.model.start()

    def push(self, feature: np.ndarray, time_s: float) -> tuple[np.ndarray, np.ndarray]:
        """Take one feature (D,); return the probabilities (n, K) now decided and times (n,)."""
        return self._decide(self._window.push(feature, time_s))

    def close(self) -> tuple[np.ndarray, np.ndarray]:
        """Return what is left at the stream's end."""
        return self._decide(self._window.close())

    def _decide(self, chunks: list[Chunk]) -> tuple[np.ndarray, np.ndarray]:
        rows = [np.empty((0, len(self.model.card.labels)), np.float32)]
        times = [np.empty(0)]
        for chunk in chunks:
            if chunk.fresh:
                self._state = self.model.start()
            probabilities, self._state = self.model.decide(chunk.view, chunk.present, self._state)
            rows.append(probabilities[chunk.positions])
            times.append(chunk.times_s)
        return np.concatenate(rows), np.concatenate(times)


class Pipeline:
    """One station's way from pictures to cycles, steps and deviations."""

    def __init__(
        self,
        task: Task,
        model: TemporalModel,
        encoder: Encoder,
        *,
        monitor: MonitorConfig | None = None,
        calibration: AlarmScale | None = None,
        decoder: StreamDecoder | None = None,
    ) -> None:
        """Without `calibration` no deviation has a probability, and none is made `unsure` by it.

        `decoder` is a new one, in place of the station's own.
        """
        card = model.card
        self.rate_hz = card.rate_hz
        self.image_size = (encoder.width, encoder.height)
        self.runtime = encoder.runtime
        self._encoder = encoder
        self._steps = StepStream(model)
        self._procedure = task.procedure()
        confusion = None if calibration is None else calibration.confusion
        self._decoder = decoder or ordered_decoder(
            card.labels, self._procedure, card.rate_hz, confusion
        )
        config = monitor or MonitorConfig.of(self._procedure)
        self._monitor = CycleMonitor(self._procedure, config)
        self._alarms = None
        if calibration is not None:
            period_s = 1 / card.rate_hz
            self._alarms = AlarmJudge(self._procedure, card.labels, calibration, period_s=period_s)
        self._now_s = 0.0
        self._resumed_s = 0.0  # until when all was judged that a stream of before has seen
        self._has_sight = False
        self._longest_gap_s = max(LONGEST_GAP_S, 2 / card.rate_hz)

    @property
    def running(self) -> Segment | None:
        """The step that is going on, as far as frames are decided; None for background."""
        return self._decoder.running

    def push(self, frame: Frame) -> list[Finding]:
        """Take a frame of the encoder's size; return what it brings to light."""
        feature = self._encoder.encode(frame.image[np.newaxis])[0]
        return self.push_feature(feature, frame.time_s)

    def push_feature(self, feature: np.ndarray, time_s: float) -> list[Finding]:
        """Take the feature (D,) of a frame that was encoded before; otherwise as `push`.

        Raises `ValueError` for a frame from before the newest one, or of no time.
        """
        if not time_s >= self._now_s:  # of no number neither holds
            raise ValueError(f"a frame of {time_s} s after one of {self._now_s} s: time went back")
        if not self._has_sight or time_s - self._now_s > self._longest_gap_s:
            self._monitor.unobserved(self._now_s, time_s)
        self._has_sight, self._now_s = True, time_s
        return self._judge(*self._steps.push(feature, time_s))

    def pause(self) -> list[Finding]:
        """Decide what was seen so far, because the next pictures show nothing of the work.

        The cycle goes on with the next frame that is pushed; until then the work is unobserved.
        """
        self._has_sight = False
        findings = self._judge(*self._steps.close())
        for segment in self._decoder.close():
            findings += self._observe(segment)
        return findings

    @property
    def judged_until_s(self) -> float:
        """Until when all that was seen is judged; a step that may go on is not yet."""
        return max(self._resumed_s, self._decoder.judged_until_s)

    def monitor_state(self) -> str:
        """Return the cycle monitor's state, to go on from with `resume`."""
        return self._monitor.state()

    def alarms_state(self) -> str | None:
        """Return the alarm judge's state, to go on from with `resume`; None without a judge."""
        return None if self._alarms is None else self._alarms.state()

    def resume(
        self, monitor_state: str, judged_until_s: float, alarms_state: str | None = None
    ) -> None:
        """Go on with a cycle of before; the stream's times must go on too.

        Without `alarms_state` what is said of what was before has no probability. Raises
        `MonitorError` or `JudgeStateError` for a state that does not fit the task; then nothing is
        changed.
        """
        monitor = CycleMonitor.resume(self._procedure, monitor_state, self._monitor.config)
        if self._alarms is not None and alarms_state is not None:
            self._alarms.resume(alarms_state)
        self._monitor, self._now_s, self._resumed_s = monitor, judged_until_s, judged_until_s
        self._decoder.resume(monitor.done)

    @property
    def cycle(self) -> int | None:
        """Number of the running cycle; None between cycles."""
        return self._monitor.cycle

    @property
    def now_s(self) -> float:
        """Time of the newest frame."""
        return self._now_s

    def close(self, *, interrupted: bool = False) -> list[Finding]:
        """End the stream: decide what is left and end the running cycle.

        When it was `interrupted`, steps that were not due yet are not called missed.
        """
        findings = self.pause()
        return findings + self._weigh(self._monitor.close(self._now_s, interrupted=interrupted))

    def _judge(self, probabilities: np.ndarray, times_s: np.ndarray) -> list[Finding]:
        if not len(times_s):
            return []
        segments = self._decoder.push(probabilities, times_s)
        if self._alarms is not None:
            self._alarms.see(probabilities, times_s)
        findings = [finding for segment in segments for finding in self._observe(segment)]
        seen_until_s = self._decoder.seen_until_s
        return findings + self._weigh(
            self._monitor.watch(self._decoder.running, self._now_s, seen_until_s=seen_until_s)
        )

    def _observe(self, segment: Segment) -> list[Finding]:
        if self._alarms is not None:
            self._alarms.take(segment)
        return self._weigh(self._monitor.observe(segment, self._now_s))

    def _weigh(self, findings: list[Finding]) -> list[Finding]:
        return findings if self._alarms is None else self._alarms.judge(findings, self._now_s)


def load_pipeline(task: Task, folder: Path | None) -> Pipeline:
    """Load the model in `folder`, or the shipped one of `task`, and make its pipeline.

    Its calibration is taken where there is one. Raises `ModelError` when there is no model, it is
    damaged, or it is for another task, and so for its calibration.
    """
    folder = folder or shipped_model(task.id)
    model = load_model(folder, task)
    calibration = read_calibration(folder, model.card, task.procedure())
    return Pipeline(task, model, encoder_of(model.card), calibration=calibration)


def ordered_decoder(
    labels: Sequence[str],
    procedure: Procedure,
    rate_hz: float,
    confusion: Confusion | None = None,
) -> StreamDecoder:
    """Return the decoder of a station: one that knows the order of the task's steps.

    With the model's `confusion` it knows what the model misses and mixes up too.
    """
    # A second of frames counts as much whatever their rate, as neighbours say much the same thing.
    temper = min(1.0, 1.0 / rate_hz)
    config = replace(decoder_config(rate_hz), temper=temper, max_lag_s=6.0)
    return StreamDecoder(labels, config=config, procedure=procedure, confusion=confusion)


def decoder_config(rate_hz: float) -> DecoderConfig:
    """Return the settings of a decoder without a procedure, for frames at this rate."""
    return DecoderConfig(period_s=1 / rate_hz, min_dwell_s=0.6)
