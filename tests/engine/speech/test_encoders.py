"""Encoders read clips of any length, bridges put several of their vectors into one."""

from __future__ import annotations

import pytest
import torch

from engine.formats.errors import StudioError
from engine.speech.bridge import Bridge, compress
from engine.speech.encoders import AvHubertEar, AvHubertEye, WhisperEar
from tests.engine.speech.tones import clip


@pytest.mark.parametrize("length", [3, 4, 9, 12])
@pytest.mark.parametrize("compression", ["stack", "pool"])
def test_several_vectors_become_one(length, compression):
    x = torch.arange(length * 2.0).reshape(length, 2)
    y = compress(x, 4, compression)
    assert y.shape == (max(1, length // 4), 8 if compression == "stack" else 2)
    rows = [x[min(i, length - 1)] for i in range(4)]
    expected = torch.cat(rows) if compression == "stack" else torch.stack(rows).mean(0)
    assert torch.equal(y[0], expected)


def test_only_trained_rates():
    bridge = Bridge(6, 8, (2, 3), "pool", hidden=5, norm=True)
    assert [len(bridge(torch.randn(12, 6), rate)) for rate in (2, 3)] == [6, 4]
    assert set(bridge.state_dict()) == {
        f"projectors.shared.{part}.{name}" for part in (0, 2, 3) for name in ("weight", "bias")
    }
    with pytest.raises(StudioError, match=r"not trained to put 4 vectors into one\. Choose one of 2, 3\."):
        bridge(torch.randn(12, 6), 4)


def test_whisper_reads_windows_and_forgets_what_they_were_filled_with(whisper):
    ear = WhisperEar(whisper)
    long, short = clip(0, 2.3), clip(1, 0.2)
    together = ear([long, short])
    assert [tuple(vectors.shape) for vectors in together] == [(115, 16), (25, 16)]
    torch.testing.assert_close(together[1], ear([short])[0])
    sound = torch.nn.functional.layer_norm(long.sound, long.sound.shape)
    third = ear._features([sound[32000:].numpy()], sampling_rate=16000, return_tensors="pt").input_features
    torch.testing.assert_close(together[0][100:], whisper(third).last_hidden_state[0, :15])


def test_lips_and_sound_through_av_hubert(encoder):
    one, other = clip(0, 0.4), clip(1, 0.28)
    for through in (AvHubertEar(encoder), AvHubertEye(encoder)):
        together = through([one, other])
        assert [tuple(vectors.shape) for vectors in together] == [(10, 32), (7, 32)]
        torch.testing.assert_close(together[1], through([other])[0], rtol=1e-4, atol=1e-4)
