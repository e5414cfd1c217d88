"""Rows as tokens: what is masked, what is learned, and conversations."""

import pytest
import torch

from engine.formats.dataset import Message, Row
from engine.formats.errors import DataError
from engine.training.text import collate, completion_logits, completion_loss, encode, encode_prompt, shuffled


def test_only_the_completion_and_its_end_are_learned(tiny_tokenizer):
    examples = encode(tiny_tokenizer, [Row("ab", "c"), Row("a", "bcd")])
    assert [tiny_tokenizer.decode(example.ids) for example in examples] == ["<s>abc</s>", "<s>abcd</s>"]
    batch = collate(examples)
    # The last token of a row predicts nothing and is not read.
    assert tiny_tokenizer.decode(batch.ids[0][batch.real[0]]) == "<s>abc"
    assert batch.ids.shape == (2, 5)
    assert batch.read == int(batch.real.sum()) == 9
    assert tiny_tokenizer.decode(batch.targets) == "c</s>bcd</s>"


def test_the_loss_is_that_of_transformers(tiny_base_folder, tiny_tokenizer, labelled):
    from transformers import LlamaForCausalLM

    model = LlamaForCausalLM.from_pretrained(tiny_base_folder)
    examples = encode(tiny_tokenizer, [Row("ab", "c"), Row("a", "bcd"), Row("", "d")])
    batch = collate(examples)
    with torch.no_grad():
        theirs = model(**labelled(examples))
        logits = completion_logits(model, batch)
        # A head that somebody listens to, as a bank does, reads the whole text.
        heard = []
        model.lm_head.register_forward_hook(lambda module, args, output: heard.append(args[0].shape[:2]))
        again = completion_logits(model, batch)
    assert completion_loss(logits, batch).item() == pytest.approx(theirs.loss.item(), rel=1e-5)
    assert heard == [batch.ids.shape]
    torch.testing.assert_close(again, logits)
    assert not model.lm_head._forward_pre_hooks


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_the_loss_and_its_gradient_are_those_of_torch(kind, reduction, tiny_tokenizer):
    batch = collate(encode(tiny_tokenizer, [Row("ab", "c"), Row("a", "bcd")]))
    dice = torch.Generator().manual_seed(1)
    scores = 30 * torch.randn(len(batch.targets), 50, generator=dice)
    scores[0, batch.targets[0]] -= 500  # so unlikely that its chance is 0 in float32
    ours, theirs = (scores.to(kind, copy=True).requires_grad_() for _ in range(2))
    loss = completion_loss(ours, batch, reduction)
    expected = torch.nn.functional.cross_entropy(theirs.float(), batch.targets, reduction=reduction)
    torch.testing.assert_close(loss, expected)
    weights = torch.rand(loss.shape, generator=dice)
    (loss * weights).sum().backward(retain_graph=True)
    (expected * weights).sum().backward()
    torch.testing.assert_close(ours.grad, theirs.grad)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.sum().backward()  # refused, not wrong


def test_a_row_too_long_is_refused_and_not_cut(tiny_tokenizer):
    with pytest.raises(DataError, match=r"Example 2 has 8 tokens, more than the 6 allowed"):
        encode(tiny_tokenizer, [Row("a", "b"), Row("abc", "abc")], max_length=6)


def test_an_empty_prompt_starts_somewhere(tiny_tokenizer):
    assert encode_prompt(tiny_tokenizer, "") == [tiny_tokenizer.bos_token_id]


def test_shuffled_is_a_partition_in_seeded_order():
    batches = shuffled(10, 4, torch.Generator().manual_seed(1))
    assert [len(batch) for batch in batches] == [4, 4, 2]
    assert sorted(number for batch in batches for number in batch) == list(range(10))
    assert batches == shuffled(10, 4, torch.Generator().manual_seed(1))


CHAT = [Message("user", "ab"), Message("assistant", "cd")]


@pytest.fixture
def templated(tiny_tokenizer):
    import copy

    def _templated(template):
        tokenizer = copy.deepcopy(tiny_tokenizer)
        tokenizer.chat_template = template
        return tokenizer

    return _templated


def test_conversations_use_the_template(templated):
    tokenizer = templated(
        "{{ bos_token }}{% for turn in messages %}{{ turn.role[0] }}:{{ turn.content }},{% endfor %}"
        "{% if add_generation_prompt %}a:{% endif %}"
    )
    (example,) = encode(tokenizer, [Row("ab", "cd", tuple(CHAT))])
    assert tokenizer.decode(example.ids) == "<s>u:ab,a:cd,"
    assert tokenizer.decode(example.ids[: example.asked]) == "<s>u:ab,a:"


def test_without_a_template_conversations_have_their_plain_form(tiny_tokenizer):
    (example,) = encode(tiny_tokenizer, [Row("ab", "cd", tuple(CHAT))])
    assert tiny_tokenizer.decode(example.ids) == "<s>abcd</s>"
