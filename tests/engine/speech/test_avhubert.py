"""The port of AV-HuBERT: the published layout, the numbers of a second implementation, masks."""

from __future__ import annotations

import dataclasses
import json

import numpy
import pytest
import torch

from engine.formats.errors import StudioError
from engine.speech.avhubert import frontend
from engine.speech.avhubert.config import BASE, LARGE, AvHubertConfig, derive_config, parse_config
from engine.speech.avhubert.encoder import AvHubert
from engine.speech.avhubert.file import read_avhubert, write_avhubert
from tests.engine.speech import reference


def shapes(config):
    with torch.device("meta"):
        return {name: tuple(tensor.shape) for name, tensor in AvHubert(config).state_dict().items()}


def documented(D, ffn, layers):
    """Names and shapes as published, written out from the layout's description."""
    table = {
        "mask_emb": (104,),
        "feature_extractor_audio.proj.weight": (D, 104),
        "feature_extractor_audio.proj.bias": (D,),
        "feature_extractor_video.proj.weight": (D, 512),
        "feature_extractor_video.proj.bias": (D,),
        "layer_norm.weight": (2 * D,),
        "layer_norm.bias": (2 * D,),
        "post_extract_proj.weight": (D, 2 * D),
        "post_extract_proj.bias": (D,),
        "encoder.pos_conv.0.bias": (D,),
        "encoder.pos_conv.0.weight_g": (1, 1, 128),
        "encoder.pos_conv.0.weight_v": (D, D // 16, 128),
        "encoder.layer_norm.weight": (D,),
        "encoder.layer_norm.bias": (D,),
    }

    def norm(name, channels):
        for part in ("weight", "bias", "running_mean", "running_var"):
            table[f"{name}.{part}"] = (channels,)
        table[f"{name}.num_batches_tracked"] = ()

    resnet = "feature_extractor_video.resnet."
    table[f"{resnet}frontend3D.0.weight"] = (64, 1, 5, 7, 7)
    norm(f"{resnet}frontend3D.1", 64)
    table[f"{resnet}frontend3D.2.weight"] = (64,)
    before = 64
    for stage, channels in enumerate((64, 128, 256, 512), 1):
        for block in (0, 1):
            name = f"{resnet}trunk.layer{stage}.{block}"
            table[f"{name}.conv1.weight"] = (channels, channels if block else before, 3, 3)
            table[f"{name}.conv2.weight"] = (channels, channels, 3, 3)
            for number in (1, 2):
                norm(f"{name}.bn{number}", channels)
                table[f"{name}.relu{number}.weight"] = (channels,)
        if stage > 1:
            name = f"{resnet}trunk.layer{stage}.0.downsample"
            table[f"{name}.0.weight"] = (channels, before, 1, 1)
            norm(f"{name}.1", channels)
        before = channels
    for number in range(layers):
        name = f"encoder.layers.{number}"
        for part in ("q_proj", "k_proj", "v_proj", "out_proj"):
            table[f"{name}.self_attn.{part}.weight"] = (D, D)
            table[f"{name}.self_attn.{part}.bias"] = (D,)
        for part in ("self_attn_layer_norm", "final_layer_norm"):
            table[f"{name}.{part}.weight"] = table[f"{name}.{part}.bias"] = (D,)
        table |= {f"{name}.fc1.weight": (ffn, D), f"{name}.fc1.bias": (ffn,)}
        table |= {f"{name}.fc2.weight": (D, ffn), f"{name}.fc2.bias": (D,)}
    return table


@pytest.mark.parametrize(
    ("config", "tensors", "millions", "megabytes"), [(BASE, 343, 102.6, 205), (LARGE, 535, 324.6, 649)]
)
def test_the_published_layout(config, tensors, millions, megabytes):
    table = shapes(config)
    assert table == documented(config.width, config.feedforward, config.layers)
    with torch.device("meta"):
        model = AvHubert(config)
    assert len(table) == tensors
    assert round(sum(p.numel() for p in model.parameters()) / 1e6, 1) == millions
    assert int(sum(t.numel() for t in model.state_dict().values()) * 2 / 1e6) == megabytes
    assert round(sum(p.numel() for p in model.feature_extractor_video.resnet.parameters()) / 1e6, 2) == 11.19


@pytest.mark.parametrize(
    "config",
    [
        BASE,
        LARGE,
        dataclasses.replace(BASE, masked=False),
        dataclasses.replace(LARGE, masked=False),
        dataclasses.replace(BASE, audio_features=26, channels=(8, 16, 24, 32), layers=3),
        AvHubertConfig(128, 200, 1, 2, position_kernel=32, position_groups=4, channels=(4, 4, 8, 8)),
    ],
)
def test_a_configuration_from_shapes(config):
    assert derive_config(shapes(config)) == config
    assert parse_config(json.loads(json.dumps(config.as_json()))) == config


def test_what_shapes_do_not_tell_is_given(tiny):
    late = dataclasses.replace(tiny, pre_norm=False)
    assert derive_config(shapes(late), heads=4, pre_norm=False) == late


def test_other_tensors_are_refused(tiny):
    table = shapes(tiny)
    del table["encoder.pos_conv.0.weight_v"]
    with pytest.raises(StudioError, match="not the tensors of an AV-HuBERT"):
        derive_config(table)
    for change in ({"layers": 0}, {"heads": 5}, {"channels": [1, 2]}, {"pre_norm": 1}, {"more": 1}):
        with pytest.raises(StudioError):
            parse_config(tiny.as_json() | change)


@pytest.fixture
def tiny(encoder):
    return encoder.config


@pytest.fixture
def frames():
    return torch.randn(2, 7, 20, 20, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def filterbanks():
    return torch.randn(2, 7, 104, generator=torch.Generator().manual_seed(2))


def close(ours, theirs, tolerance=1e-9):
    numpy.testing.assert_allclose(ours.numpy(), theirs, rtol=tolerance, atol=tolerance)


def test_the_front_end_is_the_references(encoder, frames):
    encoder, frames = encoder.double(), frames.double()
    weights = reference.Named(encoder.state_dict(), "feature_extractor_video.resnet.")
    ours = encoder.feature_extractor_video.resnet(frames)
    assert ours.shape == (2, 7, 10)
    for row, clip in zip(ours, frames, strict=True):
        close(row, reference.frontend(clip.numpy(), weights))


def test_the_fusion_is_the_references(encoder, frames, filterbanks):
    encoder, frames, filterbanks = encoder.double(), frames.double(), filterbanks.double()
    weights = reference.Named(encoder.state_dict())
    heard = reference.linear(filterbanks[0].numpy(), weights.below("feature_extractor_audio.proj"))
    video = weights.below("feature_extractor_video")
    seen = reference.linear(reference.frontend(frames[0].numpy(), video.below("resnet")), video.below("proj"))
    nothing = numpy.zeros_like(heard)
    looked = encoder.look(frames)
    close(encoder.fuse(filterbanks, looked)[0], reference.fuse(heard, seen, weights))
    close(encoder.fuse(filterbanks, None)[0], reference.fuse(heard, nothing, weights))
    close(encoder.fuse(None, looked)[0], reference.fuse(nothing, seen, weights))


@pytest.mark.parametrize("kernel", [8, 7])
def test_the_positional_convolution_is_the_references(tiny, kernel):
    model = AvHubert(dataclasses.replace(tiny, position_kernel=kernel)).double()
    x = torch.randn(1, 9, 32, dtype=torch.float64)
    weights = reference.Named(model.state_dict(), "encoder.pos_conv.0.")
    with torch.no_grad():
        model.encoder.pos_conv[0].weight_g.mul_(1.7)
        close(model.encoder.pos_conv(x)[0], reference.positions(x[0].numpy(), weights, 4))


@pytest.mark.parametrize("pre_norm", [True, False])
def test_a_layer_and_the_whole_are_the_references(make_encoder, tiny, filterbanks, pre_norm):
    encoder = make_encoder(dataclasses.replace(tiny, pre_norm=pre_norm)).double()
    weights = reference.Named(encoder.state_dict())
    x = encoder.fuse(filterbanks.double(), None)
    layers = weights.below("encoder.layers")
    y = x[0].numpy()
    close(encoder.encoder.layers[0](x)[0], reference.layer(y, layers.below("0"), 4, pre_norm))
    y = y + reference.positions(y, weights.below("encoder.pos_conv.0"), 4)
    if not pre_norm:
        y = reference.layer_norm(y, weights.below("encoder.layer_norm"))
    for number in range(2):
        y = reference.layer(y, layers.below(str(number)), 4, pre_norm)
    if pre_norm:
        y = reference.layer_norm(y, weights.below("encoder.layer_norm"))
    close(encoder(filterbanks.double())[0], y)


def test_a_published_twin_of_the_transformer(make_encoder, tiny, filterbanks):
    """The stable-layer-norm encoder of wav2vec 2.0 in transformers is the same transformer."""
    from transformers import Wav2Vec2Config
    from transformers.models.wav2vec2.modeling_wav2vec2 import Wav2Vec2EncoderStableLayerNorm

    encoder = make_encoder(tiny)
    twin = Wav2Vec2EncoderStableLayerNorm(
        Wav2Vec2Config(
            hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=48,
            num_conv_pos_embeddings=8, num_conv_pos_embedding_groups=4, layerdrop=0.0,
            attn_implementation="eager",
        )
    ).eval()  # fmt: skip
    names = {
        "pos_conv.0.bias": "pos_conv_embed.conv.bias",
        "pos_conv.0.weight_g": "pos_conv_embed.conv.parametrizations.weight.original0",
        "pos_conv.0.weight_v": "pos_conv_embed.conv.parametrizations.weight.original1",
    }

    def theirs(name):
        for old, new in (
            ("self_attn_layer_norm", "layer_norm"), ("self_attn", "attention"),
            ("fc1", "feed_forward.intermediate_dense"), ("fc2", "feed_forward.output_dense"),
        ):  # fmt: skip
            name = name.replace(old, new)
        return name

    state = {names.get(name, theirs(name)): tensor for name, tensor in encoder.encoder.state_dict().items()}
    twin.load_state_dict(state)
    real = torch.tensor([[True] * 7, [True] * 4 + [False] * 3])
    x = encoder.fuse(filterbanks, None)
    with torch.no_grad():
        expected = twin(x.clone(), attention_mask=real).last_hidden_state
    torch.testing.assert_close(encoder.encoder(x, real)[real], expected[real], rtol=1e-5, atol=1e-5)


def test_padding_is_neither_heard_nor_seen(encoder, frames, filterbanks):
    encoder, frames, filterbanks = encoder.double(), frames.double(), filterbanks.double()
    real = torch.tensor([[True] * 7, [True] * 4 + [False] * 3])
    frames[~real], filterbanks[~real] = 0, 0
    together = encoder(filterbanks, frames, real)
    alone = encoder(filterbanks[1:, :4], frames[1:, :4])
    close(together[1, :4], alone[0].numpy())


def test_a_missing_modality_is_not_zero_input(encoder, frames, filterbanks):
    both = encoder(filterbanks, frames)
    lips = encoder(None, frames)
    silent = encoder(torch.zeros_like(filterbanks), frames)
    assert (lips - both).abs().max() > 0.01 and (lips - silent).abs().max() > 0.01
    with pytest.raises(StudioError, match="neither sound nor video"):
        encoder()
    with pytest.raises(StudioError, match="7 frames and the video 6"):
        encoder(filterbanks, frames[:, :6])


def test_a_long_clip_in_pieces_is_the_same(encoder, frames, monkeypatch):
    whole = encoder.double().feature_extractor_video.resnet(frames.double())
    monkeypatch.setattr(frontend, "PIECE", 3)
    close(encoder.feature_extractor_video.resnet(frames.double()), whole.numpy())


def test_to_disk_and_back(encoder, filterbanks, tmp_path):
    write_avhubert(encoder, tmp_path / "encoder")
    again = read_avhubert(tmp_path / "encoder")
    assert torch.equal(again(filterbanks), encoder(filterbanks))
    assert not any(parameter.requires_grad for parameter in again.parameters())
    settings = tmp_path / "encoder" / "config.json"
    settings.write_text(settings.read_text().replace('"layers": 2', '"layers": 3'))
    with pytest.raises(StudioError, match="not those that its configuration describes"):
        read_avhubert(tmp_path / "encoder")
