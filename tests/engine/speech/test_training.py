"""Training of a speech model: all tasks at all rates, the same when resumed, nothing of the base."""

from __future__ import annotations

import pytest
import torch

from engine.speech.augment import augmented, narrowed
from engine.speech.clip import Clip
from engine.speech.config import Rates
from engine.speech.encoders import AvHubertEye, WhisperEar
from engine.speech.file import read_speech_model
from engine.speech.model import LoraSize
from engine.speech.training import SpeechTask
from engine.training import Checkpoints, Mailbox, Settings, StepDone, train
from tests.engine.speech.tones import CLIPS, transcribe


def test_the_base_is_untouched_and_only_new_parts_learn(make, llm):
    before = {name: tensor.clone() for name, tensor in llm.state_dict().items()}
    model = make()
    task = SpeechTask(model, CLIPS, batch_size=2)
    names = {name.split(".")[0] for name in task.parameters()}
    assert names == {"bridges", "lora"}
    assert not any(
        p.requires_grad for part in (llm, model.ear.encoder, model.eye.encoder) for p in part.parameters()
    )
    list(train(task, Settings(steps=2, learning_rate=0.01)))
    task.close()
    assert all(torch.equal(tensor, before[name]) for name, tensor in llm.state_dict().items())


def test_every_task_and_rate_is_drawn_again_the_same(make):
    task = SpeechTask(make(), CLIPS, seed=4)
    drawn = []
    for step in range(400):
        task.at_step(step)
        drawn.append((task.mode, task.ratio))
    modes = [mode for mode, _ in drawn]
    assert 0.36 < modes.count("video") / 400 < 0.5 and abs(modes.count("audio") - modes.count("both")) < 60
    assert len(set(drawn)) == 12
    task.at_step(7)
    assert (task.mode, task.ratio) == drawn[7]


def test_the_loss_is_of_the_text_alone(make, llm, tiny_tokenizer):
    task = SpeechTask(make(), CLIPS, noisy=False)
    task.mode, task.ratio = "both", Rates(4, 5)
    loss = task.loss([0, 2])
    assert list(loss.metrics) == ["loss both 4 5"]
    model, logs = task.model, []
    for number in (0, 2):
        text = ["one", None, "three"][number]
        ids = [*tiny_tokenizer(text, add_special_tokens=False).input_ids, 2]
        read = model.read([CLIPS[number]], "both", Rates(4, 5))[0]
        logits = llm(inputs_embeds=torch.cat([read, model.embed(ids)])[None]).logits[0].log_softmax(-1)
        logs += [logits[len(read) - 1 + i, token] for i, token in enumerate(ids)]
    torch.testing.assert_close(loss.value, -torch.stack(logs).mean(), rtol=1e-4, atol=1e-4)


class Trained:
    """In the place of training: how a random encoder's vectors differ among the clips, worked out once."""

    def __init__(self, encoder):
        self.encoder, self.width, self.rate = encoder.encoder, encoder.width, encoder.rate
        found = encoder(CLIPS)
        middle = torch.cat(found).mean(0)
        spread = torch.cat(found).std(0).mean()
        self._known = {id(clip): (x - middle) / spread for clip, x in zip(CLIPS, found, strict=True)}

    def __call__(self, clips):
        return [self._known[id(clip)] for clip in clips]


def test_it_learns_all_tasks_at_all_rates_and_writes_them_down(make, whisper, encoder, tmp_path):
    parts = {"ear": Trained(WhisperEar(whisper)), "eye": Trained(AvHubertEye(encoder))}
    lora = LoraSize(rank=8, alpha=8, targets=())
    task = SpeechTask(make(**parts, lora=lora), CLIPS, batch_size=4, noisy=False)
    events = list(train(task, Settings(steps=150, learning_rate=0.01, seed=1)))
    assert events[-1].metrics["loss"] < 0.1
    result = task.save(tmp_path / "speech")
    assert result["parameters"] == sum(p.numel() for p in task.parameters().values())
    task.close()
    again = read_speech_model(tmp_path / "speech", task.model.llm, task.model.tokenizer, **parts)
    for mode in ("audio", "video", "both"):
        for audio in (4, 10):
            for video in (2, 5):
                said = transcribe(again, CLIPS, mode, Rates(audio, video))
                assert [one.text for one in said] == ["one", "two", "three", "four"], (mode, audio, video)
    assert all(one.whole and one.words[0].confidence > 0.5 for one in said)
    alone = transcribe(again, CLIPS[1:2], "both", Rates(10, 5))
    assert alone[0].text == said[1].text
    assert alone[0].words[0].confidence == pytest.approx(said[1].words[0].confidence, abs=1e-3)
    assert [one.text for one in transcribe(again, CLIPS, "both", beams=3)] == ["one", "two", "three", "four"]


def test_a_resumed_run_is_the_undisturbed_one(make, tmp_path):
    settings = Settings(steps=6, learning_rate=0.01, seed=3, checkpoint_seconds=0.0)

    def run(folder, pause_at=None):
        task = SpeechTask(make(), CLIPS, batch_size=2)
        checkpoints, mailbox = Checkpoints(folder), Mailbox()
        found = checkpoints.newest()
        for event in train(task, settings, checkpoints, mailbox, resume=found.tensors if found else None):
            if isinstance(event, StepDone) and event.step == pause_at:
                mailbox.post("pause")
        task.close()
        return {name: p.detach().clone() for name, p in task.parameters().items()}

    whole = run(tmp_path / "whole")
    run(tmp_path / "parts", pause_at=3)
    parts = run(tmp_path / "parts")
    assert all(torch.equal(whole[name], parts[name]) for name in whole)


def test_augmentation_changes_what_is_there_and_nothing_else():
    torch.manual_seed(0)
    noisy = augmented(CLIPS[0], [CLIPS[1].sound])
    assert noisy.sound.shape == CLIPS[0].sound.shape and noisy.mouth.shape == (10, 88, 88)
    assert not torch.equal(noisy.sound, CLIPS[0].sound) and noisy.text == CLIPS[0].text
    assert augmented(Clip(None, CLIPS[0].mouth), []).sound is None
    silent = Clip(torch.zeros(800), None)
    assert torch.equal(augmented(silent, [CLIPS[1].sound]).sound, silent.sound)


def test_some_sounds_become_as_a_telephone_has_them():
    sound = torch.randn(16001, generator=torch.Generator().manual_seed(0)) * 0.1
    whole = torch.fft.rfft(sound).abs()
    torch.manual_seed(0)
    drawn = [narrowed(sound) for _ in range(200)]
    narrow = [one for one in drawn if one is not sound]
    assert 0.1 < len(narrow) / 200 < 0.3
    for one in narrow:
        left = torch.fft.rfft(one).abs()
        assert len(one) == len(sound)
        torch.testing.assert_close(left[:3290], whole[:3290], atol=1e-3, rtol=1e-3)
        assert float(left[4010:].norm() / whole[4010:].norm()) <= 0.0101
