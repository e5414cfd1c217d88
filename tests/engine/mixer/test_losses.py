"""The Specialization Balance Loss against its formula, and which way its parts pull."""

from __future__ import annotations

import math

import pytest
import torch

from engine.mixer import entropy_band_loss, routing, specialization_balance_loss


def gates(logits):
    return logits.softmax(-1)


def test_the_formula_with_padding_left_out():
    torch.manual_seed(0)
    p = gates(torch.randn(3, 5, 4, 6))
    mask = torch.ones(3, 5)
    mask[0, 3:] = mask[2, :2] = 0
    balance, entropy = [], []
    for module in range(4):
        rows = p[:, :, module][mask.bool()]
        lead = torch.zeros(6)
        for row in rows:
            lead[row.argmax()] += 1 / len(rows)
        balance.append(float((rows.mean(0) * lead).sum()))
        entropy.append(float(-(rows * rows.log()).sum(-1).mean()))
    seen = routing(p, mask)
    assert float(seen.balance) == pytest.approx(sum(balance) / 4, rel=1e-5)
    assert float(seen.entropy) == pytest.approx(sum(entropy) / 4, rel=1e-5)
    assert float(seen.load.sum()) == pytest.approx(1.0) and float(seen.share.sum()) == pytest.approx(1.0)
    expected = 0.01 * sum(balance) / 4 - 0.3 * sum(entropy) / 4
    assert float(specialization_balance_loss(seen, 0.01, 0.3)) == pytest.approx(expected, rel=1e-5)


def test_extremes():
    one = torch.zeros(2, 3, 1, 4)
    one[..., 2] = 1.0
    seen = routing(one)
    assert float(seen.balance) == 1.0 and float(seen.entropy) == 0.0 and float(seen.share[2]) == 1.0
    even = routing(torch.full((2, 3, 1, 4), 0.25))
    assert float(even.balance) == pytest.approx(0.25) and float(even.entropy) == pytest.approx(math.log(4))


@pytest.mark.parametrize(("weight", "flatter"), [(1.0, True), (-1.0, False)])
def test_the_sign_of_the_entropy_weight(weight, flatter):
    torch.manual_seed(1)
    logits = torch.randn(2, 8, 3, 4, requires_grad=True)
    before = routing(gates(logits)).entropy
    specialization_balance_loss(routing(gates(logits)), 0.0, weight).backward()
    after = routing(gates(logits - 5.0 * logits.grad)).entropy
    assert bool(after > before) is flatter


def test_balance_pulls_towards_the_idle():
    torch.manual_seed(2)
    logits = torch.randn(2, 8, 3, 4)
    logits[..., 0] += 2.0
    logits.requires_grad_()
    before = routing(gates(logits)).load
    specialization_balance_loss(routing(gates(logits)), 1.0, 0.0).backward()
    assert routing(gates(logits - 50.0 * logits.grad)).load[0] < before[0]


def band(p):
    return float(entropy_band_loss(routing(p)))


def test_the_band_by_hand():
    torch.manual_seed(3)
    p = gates(torch.randn(2, 40, 1, 5))
    rows = p.flatten(0, 2)
    most = math.log(5)
    h = lambda q: float(-(q * q.log()).sum(-1).mean())  # noqa: E731
    expected = max(0.0, 0.48 - (min(h(rows.mean(0)), 0.98 * most) - max(h(rows), 0.5 * most)) / most)
    assert expected > 0 and band(p) == pytest.approx(expected, rel=1e-5)


def test_the_band_is_content_with_decided_tokens_and_even_experts():
    decided = torch.nn.functional.one_hot(torch.arange(40) % 4, 4).float().view(2, 20, 1, 4)
    assert band(decided) == 0.0
    assert band(torch.full((2, 20, 1, 4), 0.25)) == pytest.approx(0.5)  # undecided
    assert band((8.0 * decided[:1, :1]).expand(2, 20, 1, 4).softmax(-1)) == pytest.approx(
        0.97, abs=0.01
    )  # onto one


def test_the_band_pulls_both_ways():
    """Undecided tokens become decided while the experts stay even; absent experts count for nothing."""
    torch.manual_seed(4)
    logits = 0.1 * torch.randn(1, 64, 2, 4)
    logits[:, :, 1, 2:] = -1e30
    logits.requires_grad_()
    before = routing(gates(logits))
    assert before.choices.tolist() == [4, 2]
    for _ in range(200):
        logits.grad = None
        entropy_band_loss(routing(gates(logits))).backward()
        with torch.no_grad():
            logits -= 20.0 * logits.grad
    after = routing(gates(logits))
    assert (after.entropies < 0.6 * before.entropies).all()
    assert (after.evenness > 0.95 * before.evenness).all()


def test_weights_that_do_not_sum_to_one_count_by_their_part():
    p = torch.rand(2, 5, 3, 4, generator=torch.Generator().manual_seed(0)) + 0.1
    seen, scaled = routing(p / p.sum(-1, keepdim=True)), routing(0.3 * p)
    assert torch.allclose(seen.load, scaled.load) and float(seen.spread) == pytest.approx(
        float(scaled.spread), abs=1e-5
    )
