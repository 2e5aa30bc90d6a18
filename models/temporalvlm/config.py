"""How large a TemporalVLM is and which of its parts are there; two by name, `paper` and `small`.

Knows no weights: what is trained stands in `parts.py`, what is loaded in `language_model.py` and
`checkpoint.py`.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

AggregationName = Literal["none", "average", "linear", "lstm", "bilstm", "transformer", "mingru"]
SegmentationName = Literal["uniform", "adaptive"]
SystemName = Literal["temporalvlm", "timechat", "longvlm", "videochat-embed"]
PartName = Literal[
    "image_qformer", "video_qformer", "fusion", "aggregation", "projection", "step_head", "lora"
]

Count = Annotated[int, Field(gt=0, le=65536)]
Share = Annotated[float, Field(ge=0, lt=1)]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SegmentationConfig(_Frozen):
    """How a video is cut: C segments of at most T frames each."""

    segments: Annotated[int, Field(gt=0, le=256)] = 6
    frames: Count = 96
    how: SegmentationName = "uniform"
    min_share: Annotated[float, Field(gt=0, le=1)] = 0.25
    """The shortest adaptive segment, as a share of an equal part."""


class ImageEncoderConfig(_Frozen):
    """The frozen ViT; its widths are those of transformers' `InstructBlipVisionConfig`."""

    image_size: Count = 224
    patch: Count = 14
    dim: Count = 1408
    layers: Count = 39
    heads: Count = 16
    mlp_dim: Count = 6144

    @property
    def tokens(self) -> int:
        """Tokens that one image gives: its patches and the class token."""
        return (self.image_size // self.patch) ** 2 + 1


class QFormerConfig(_Frozen):
    """One Q-Former: `queries` learned tokens of width `dim` that read by cross-attention."""

    layers: Count
    heads: Count
    mlp_dim: Count
    queries: Count
    cross_attention_every: Count
    dropout: Share = 0.1


def initial_spread(dim: int) -> float:
    """Return the standard deviation of new Q-Former weights, which keeps the scale of what is read.

    BERT's is 0.02 at a width of 768, 0.55 times this. From that, what the windows' tokens of a new
    `small` say of their frames is 0.7 % of their variance (the rest tells only the queries apart);
    from this, 11 % (2026-11-22, four recordings of CaptainCook4D).
    """
    return float(dim**-0.5)


class LoraConfig(_Frozen):
    """Low-rank adapters on the language model's attention (peft)."""

    rank: Count = 32
    alpha: Count = 32
    dropout: Share = 0.1
    targets: tuple[str, ...] = ("q_proj", "k_proj", "v_proj", "o_proj")


class LinesConfig(_Frozen):
    """How each video token is shown as a line of text; not in the paper.

    It gives `words` embeddings, which learn to spell what is done (`alignment`), in quotes; with
    `times` the stretch that it stands for is written behind them, as answers write it:
    'Peel the garlic': 12.0 - 24.0 seconds. A small language model copies what follows words that it
    has just said, and does not find what stood before them (docs/log.md, 2026-11-23).
    """

    words: Annotated[int, Field(gt=0, le=64)] = 8
    times: bool = True


class LanguageConfig(_Frozen):
    """The language model's name, the width of its embeddings, its adapters and its prompt."""

    name: Annotated[str, Field(min_length=1)]
    dim: Count
    lora: LoraConfig | None = LoraConfig()
    before_video: str
    after_video: str
    """Both may hold special tokens; the instruction, which comes between, may not."""
    before_answer: str
    end_of_answer: str
    lines: LinesConfig | None = None
    """None: each video token is one embedding, one after the other, as in the paper."""
    gradient_checkpointing: bool = False
    """Whether training computes each layer twice and so holds only one layer's values in memory;
    the gradients are the same. Has no effect where the adapters are not trained."""

    @property
    def token_dim(self) -> int:
        """How wide a projected video token is: the embeddings that it is shown as, in a row."""
        return self.dim if self.lines is None else self.dim * self.lines.words


class StepHeadConfig(_Frozen):
    """The frame-wise head: a learned classifier of K labels, or the embeddings of step texts."""

    classifier: Literal["learned", "texts"]
    width: Count
    """K labels for `learned`; the width of the texts' embeddings for `texts`."""
    refinement_layers: Annotated[int, Field(ge=0, le=12)] = 6
    dropout: Share = 0.3


class TemporalVLMConfig(_Frozen):
    """Everything that decides the shapes of a TemporalVLM."""

    name: Annotated[str, Field(min_length=1)]
    segmentation: SegmentationConfig = SegmentationConfig()
    image_encoder: ImageEncoderConfig | None
    """None where ready features come in."""
    feature_dim: Count
    timestamp_vocabulary: Count
    dim: Count
    image_qformer: QFormerConfig
    window: Annotated[int, Field(gt=0, le=1024)] = 32
    overlap: Annotated[int, Field(ge=0, lt=1024)] = 16
    video_qformer: QFormerConfig
    fusion: bool = True
    aggregation: AggregationName = "bilstm"
    aggregation_layers: Count = 1
    language: LanguageConfig | None
    """None where only the step head is wanted."""
    step_head: StepHeadConfig | None = None
    trained: frozenset[PartName] = frozenset(
        (
            "image_qformer",
            "video_qformer",
            "fusion",
            "aggregation",
            "projection",
            "step_head",
            "lora",
        )
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.overlap >= self.window:
            raise ValueError(f"overlap {self.overlap} must be below window {self.window}")
        if self.dim % 2:
            raise ValueError(f"dim {self.dim} must be even: half of it is one LSTM direction")
        for name, heads in (
            ("image_qformer", self.image_qformer.heads),
            ("video_qformer", self.video_qformer.heads),
        ):
            if self.dim % heads:
                raise ValueError(f"{name}: {heads} heads do not divide dim {self.dim}")
        if self.language is None and self.step_head is None:
            raise ValueError("give a language model or a step head: nothing else can be asked")
        if self.image_encoder is not None and self.image_encoder.dim != self.feature_dim:
            raise ValueError(
                f"feature_dim {self.feature_dim} must be the image encoder's "
                f"{self.image_encoder.dim}"
            )
        return self

    @property
    def stride(self) -> int:
        """Frames from one window's start to the next one's."""
        return self.window - self.overlap

    @property
    def tokens(self) -> int:
        """Tokens that a full video gives."""
        return self.segmentation.segments * self.windows * self.video_qformer.queries

    @property
    def windows(self) -> int:
        """Windows that cover a full segment."""
        over = max(0, self.segmentation.frames - self.window)
        return -(-over // self.stride) + 1


LLAMA_2_7B = LanguageConfig(
    name="llama-2-7b",
    dim=4096,
    before_video="<s>[INST] <Video>",
    after_video="</Video> ",
    before_answer=" [/INST]",
    end_of_answer="</s>",
)
SMOLLM2_135M = LanguageConfig(
    name="smollm2-135m-instruct",
    dim=576,
    lora=LoraConfig(rank=8, alpha=16, dropout=0.05),
    before_video="<|im_start|>user\n",
    after_video="\n",
    before_answer="<|im_end|>\n<|im_start|>assistant\n",
    end_of_answer="<|im_end|>",
)

PAPER = TemporalVLMConfig(
    name="paper",
    image_encoder=ImageEncoderConfig(),
    feature_dim=1408,
    timestamp_vocabulary=30523,  # bert-base-uncased and TimeChat's [DEC]
    dim=768,
    image_qformer=QFormerConfig(
        layers=12, heads=12, mlp_dim=3072, queries=32, cross_attention_every=2
    ),
    video_qformer=QFormerConfig(
        layers=2, heads=12, mlp_dim=3072, queries=32, cross_attention_every=1
    ),
    language=LLAMA_2_7B,
    step_head=StepHeadConfig(classifier="texts", width=4096),
)
SMALL = TemporalVLMConfig(
    name="small",
    segmentation=SegmentationConfig(frames=48),
    image_encoder=None,
    feature_dim=768,
    timestamp_vocabulary=32,
    dim=128,
    image_qformer=QFormerConfig(layers=2, heads=4, mlp_dim=256, queries=2, cross_attention_every=2),
    video_qformer=QFormerConfig(layers=2, heads=4, mlp_dim=256, queries=8, cross_attention_every=1),
    language=SMOLLM2_135M,
    step_head=StepHeadConfig(classifier="texts", width=576),
)
