"""TemporalVLM at the paper's size on the meta device, and TimeChat's checkpoints mapped onto it."""

import pickle
import re
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM

from models.temporalvlm.checkpoint import (
    CheckpointError,
    load_timechat,
    read_checkpoint,
    timechat_name,
)
from models.temporalvlm.config import (
    PAPER,
    ImageEncoderConfig,
    LanguageConfig,
    LoraConfig,
    QFormerConfig,
    SegmentationConfig,
    StepHeadConfig,
    TemporalVLMConfig,
)
from models.temporalvlm.image_encoder import FrozenImageEncoder, ImageEncoderError
from models.temporalvlm.language_model import LanguageModel
from models.temporalvlm.model import TemporalVLM
from models.temporalvlm.parts import parameter_counts
from models.temporalvlm.pretrained import llama_2_7b_layout
from models.temporalvlm.timestamps import DigitTimestamps


@pytest.fixture(scope="module")
def paper() -> TemporalVLM:
    with torch.device("meta"):
        assert PAPER.language is not None
        language = LanguageModel(PAPER.language, LlamaForCausalLM(llama_2_7b_layout()))
        return TemporalVLM(PAPER, timestamps=DigitTimestamps(), language=language)


def test_the_parts_of_the_paper_have_their_sizes(paper: TemporalVLM) -> None:
    assert all(p.is_meta for p in paper.parameters())
    counts = parameter_counts(paper)
    assert counts == {
        "image_encoder": 985_952_256,  # EVA-CLIP g/14 less its last block, with the norm behind
        "image_qformer": 185_684_736,  # 12 layers of BERT twice over, 30523 word pieces, 32 queries
        "video_qformer": 19_003_392,  # 18_905_088 of Q-Former, 96 positions, 32 queries
        "fusion": 2_363_904,
        "aggregation": 3_545_088,
        "projection": 3_149_824,
        "lora": 33_554_432,
        "step_head": 21_979_649,
        "language_model": 6_738_415_616,
    }
    assert sum(p.numel() for p in paper.segment_encoder.video_qformer.qformer.parameters()) == (
        18_905_088
    )
    frozen = sum(p.numel() for p in paper.parameters() if not p.requires_grad)
    assert frozen == counts["image_encoder"] + counts["language_model"]


def qformer_names(
    prefix: str, layers: int, dim: int, mlp: int, width: int, *, texts: bool, every: int
) -> dict[str, tuple[int, ...]]:
    """Return names and shapes of LAVIS' `BertLMHeadModel`, as TimeChat keeps it."""
    shapes: dict[str, tuple[int, ...]] = {}

    def linear(name: str, out: int, into: int) -> None:
        shapes[f"{name}.weight"], shapes[f"{name}.bias"] = (out, into), (out,)

    def norm(name: str) -> None:
        shapes[f"{name}.weight"], shapes[f"{name}.bias"] = (dim,), (dim,)

    def attention(name: str, keys: int) -> None:
        linear(f"{name}.self.query", dim, dim)
        linear(f"{name}.self.key", dim, keys)
        linear(f"{name}.self.value", dim, keys)
        linear(f"{name}.output.dense", dim, dim)
        norm(f"{name}.output.LayerNorm")

    norm(f"{prefix}.bert.embeddings.LayerNorm")
    shapes[f"{prefix}.bert.embeddings.position_ids"] = (1, 512)
    for layer in range(layers):
        base = f"{prefix}.bert.encoder.layer.{layer}"
        attention(f"{base}.attention", dim)
        if layer % every == 0:
            attention(f"{base}.crossattention", width)
        for end in ("", "_query") if texts else ("_query",):
            linear(f"{base}.intermediate{end}.dense", mlp, dim)
            linear(f"{base}.output{end}.dense", dim, mlp)
            norm(f"{base}.output{end}.LayerNorm")
    return shapes


def timechat_shapes(
    config: TemporalVLMConfig, *, llm_layers: int, positions: int = 96, adapter: str = ".default"
) -> dict[str, tuple[int, ...]]:
    """Return names and shapes of what TimeChat trains and saves."""
    image, video, dim = config.image_qformer, config.video_qformer, config.dim
    assert config.language is not None
    assert config.language.lora is not None
    llm, rank = config.language.dim, config.language.lora.rank
    shapes = {
        "query_tokens": (1, image.queries, dim),
        "Qformer.bert.embeddings.word_embeddings.weight": (config.timestamp_vocabulary, dim),
        "Qformer.bert.embeddings.position_embeddings.weight": (512, dim),
        **qformer_names(
            "Qformer", image.layers, dim, image.mlp_dim, config.feature_dim, texts=True, every=2
        ),
        "video_query_tokens": (1, video.queries, dim),
        "video_frame_position_embedding.weight": (positions, dim),
        **qformer_names(
            "video_Qformer", video.layers, dim, video.mlp_dim, dim, texts=False, every=1
        ),
        "llama_proj.weight": (llm, dim),
        "llama_proj.bias": (llm,),
    }
    for layer in range(llm_layers):
        for to in "qkvo":
            base = f"llama_model.base_model.model.model.layers.{layer}.self_attn.{to}_proj"
            shapes[f"{base}.lora_A{adapter}.weight"] = (rank, llm)
            shapes[f"{base}.lora_B{adapter}.weight"] = (llm, rank)
    return shapes


def test_a_timechat_checkpoint_fits_the_paper_key_by_key(paper: TemporalVLM) -> None:
    shapes = timechat_shapes(PAPER, llm_layers=32)
    state = {name: torch.empty(shape, device="meta") for name, shape in shapes.items()}
    report = load_timechat(paper, state)
    assert report.passed_over == (
        "Qformer.bert.embeddings.position_ids",
        "video_Qformer.bert.embeddings.position_ids",
    )
    assert report.loaded == len(shapes) - 2
    assert report.resized_from is None


TINY_Q = QFormerConfig(layers=2, heads=2, mlp_dim=12, queries=3, cross_attention_every=1)
TINY = TemporalVLMConfig(
    name="tiny",
    segmentation=SegmentationConfig(segments=2, frames=12),
    image_encoder=ImageEncoderConfig(image_size=8, patch=4, dim=10, layers=1, heads=2, mlp_dim=8),
    feature_dim=10,
    timestamp_vocabulary=40,
    dim=8,
    image_qformer=TINY_Q.model_copy(update={"cross_attention_every": 2}),
    video_qformer=TINY_Q,
    language=LanguageConfig(
        name="tiny",
        dim=16,
        lora=LoraConfig(rank=2),
        before_video="",
        after_video="",
        before_answer="",
        end_of_answer="</s>",
    ),
    step_head=StepHeadConfig(classifier="learned", width=3),
)


def tiny_model() -> TemporalVLM:
    assert TINY.language is not None
    llama = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=9,
            hidden_size=16,
            intermediate_size=8,
            num_hidden_layers=1,
            num_attention_heads=2,
        )
    )
    language = LanguageModel(TINY.language, llama)
    return TemporalVLM(TINY, timestamps=DigitTimestamps(), language=language)


def tiny_checkpoint(positions: int = 12, adapter: str = ".default") -> dict[str, Tensor]:
    torch.manual_seed(3)
    shapes = timechat_shapes(TINY, llm_layers=1, positions=positions, adapter=adapter)
    return {name: torch.randn(shape) for name, shape in shapes.items()}


@pytest.mark.parametrize("adapter", [".default", ""])
def test_each_value_lands_where_it_belongs_and_nothing_else_moves(adapter: str) -> None:
    net, state = tiny_model(), tiny_checkpoint(adapter=adapter)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    load_timechat(net, state)
    after = net.state_dict()
    for key, value in state.items():
        name = timechat_name(key)
        assert name is None or torch.equal(after[name], value), key
    image = "segment_encoder.image_qformer.qformer.encoder.layer.0."
    for ours, theirs in {
        image + "attention.attention.query.weight": "attention.self.query.weight",
        image + "crossattention.attention.key.bias": "crossattention.self.key.bias",
        image + "output_query.LayerNorm.weight": "output_query.LayerNorm.weight",
    }.items():
        assert torch.equal(after[ours], state[f"Qformer.bert.encoder.layer.0.{theirs}"])
    moved = {name for name in after if not torch.equal(after[name], before[name])}
    assert moved == {timechat_name(key) for key in state} - {None}
    assert not any(name.startswith(("aggregation", "step_head", "image_encoder")) for name in moved)


@pytest.mark.parametrize("positions", [5, 32])
def test_a_position_table_of_other_length_is_resized_by_the_nearest(positions: int) -> None:
    net, state = tiny_model(), tiny_checkpoint(positions)
    report = load_timechat(net, state)
    assert report.resized_from == positions
    table = state["video_frame_position_embedding.weight"]
    nearest = table[[i * positions // 12 for i in range(12)]]
    assert torch.equal(net.segment_encoder.video_qformer.position.weight, nearest)


def test_all_that_does_not_fit_is_listed_at_once_and_nothing_is_loaded() -> None:
    net, state = tiny_model(), tiny_checkpoint()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    del state["video_query_tokens"], state["llama_proj.bias"]
    state["query_tokens"] = torch.zeros(1, 4, 8)
    state["audio_Qformer.bert.embeddings.LayerNorm.bias"] = torch.zeros(8)
    with pytest.raises(CheckpointError) as caught:
        load_timechat(net, state)
    said = str(caught.value)
    assert "2 missing: projection.bias, segment_encoder.video_qformer.queries" in said
    assert "1 unknown: audio_Qformer.bert.embeddings.LayerNorm.bias" in said
    assert re.search(r"1 of another shape: \S+queries \(1, 4, 8\), not \(1, 3, 8\)", said)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


def test_only_the_named_parts_are_asked_for_and_loaded() -> None:
    net, state = tiny_model(), tiny_checkpoint()
    queries = net.segment_encoder.image_qformer.queries.detach().clone()
    state |= {"visual_encoder.cls_token": torch.zeros(1), "llama_model.norm": torch.zeros(1)}
    for key in [key for key in state if "lora_" in key]:
        del state[key]
    report = load_timechat(net, state, parts=["video_qformer", "projection"])
    assert torch.equal(net.segment_encoder.image_qformer.queries, queries)
    assert {"query_tokens", "visual_encoder.cls_token", "llama_model.norm"} <= set(
        report.passed_over
    )


def test_checkpoints_are_read_from_safetensors_and_from_published_pth(tmp_path: Path) -> None:
    state = tiny_checkpoint()
    save_file(state, tmp_path / "a.safetensors")
    torch.save({"model": state, "epoch": 2}, tmp_path / "a.pth")
    for name in ("a.safetensors", "a.pth"):
        read = read_checkpoint(tmp_path / name)
        assert read.keys() == state.keys()
        assert all(torch.equal(read[key], state[key]) for key in state)


class _Runs:
    """What a hostile pickle would do on loading."""

    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        return open, ("owned", "w")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        (
            "evil.pth",
            pickle.dumps({"model": _Runs()}, protocol=2),
            "more than tensors or is damaged",
        ),
        ("cut.pth", b"PK\x03\x04 and no more", "more than tensors or is damaged"),
        ("empty.pt", b"", "more than tensors or is damaged"),
        ("cut.safetensors", b"\x08\0\0\0\0\0\0\0{", "not a safetensors file"),
        ("odd.pth", b"\x80\x02K\x01b.", "more than tensors or is damaged"),
        ("weights.bin", b"", "neither .safetensors nor"),
    ],
)
def test_files_that_are_no_checkpoints_are_refused_and_never_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, content: bytes, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CheckpointError, match=said):
        read_checkpoint(tmp_path / name)
    assert not (tmp_path / "owned").exists()
    with pytest.raises(CheckpointError, match="no such file"):
        read_checkpoint(tmp_path / "absent.pth")


def test_a_state_dict_that_stands_alone_is_refused(tmp_path: Path) -> None:
    torch.save({"query_tokens": torch.zeros(1)}, tmp_path / "a.pth")
    with pytest.raises(CheckpointError, match="under 'model'"):
        read_checkpoint(tmp_path / "a.pth")


def test_the_image_encoder_is_frozen_and_loads_a_local_folder(tmp_path: Path) -> None:
    assert TINY.image_encoder is not None
    torch.manual_seed(0)
    first, second = FrozenImageEncoder(TINY.image_encoder), FrozenImageEncoder(TINY.image_encoder)
    images = torch.randn(3, 3, 8, 8)
    tokens = first(images, at_once=2)
    assert tokens.shape == (3, TINY.image_encoder.tokens, TINY.image_encoder.dim)
    assert not any(p.requires_grad for p in first.parameters())
    torch.testing.assert_close(tokens[1:2], first(images[1:2]))
    with torch.no_grad():
        first.vision.post_layernorm.weight.add_(1)
    first.vision.save_pretrained(tmp_path)
    second.load_folder(tmp_path)
    torch.testing.assert_close(second(images), first(images))
    with pytest.raises(ImageEncoderError, match="safetensors"):
        second.load_folder(tmp_path / "absent")
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-50])
    with pytest.raises(ImageEncoderError, match="safetensors"):
        second.load_folder(tmp_path)


def test_a_model_keeps_its_image_encoder_out_of_training() -> None:
    net = tiny_model().train()
    assert net.image_encoder is not None
    assert not net.image_encoder.training
    assert net.aggregation.training
