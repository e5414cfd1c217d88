"""An expert whose weight has reached exactly 0 must not turn the router's gradient into NaN."""

from __future__ import annotations

import pytest
import torch

from engine.mixer.losses import routing, specialization_balance_loss


@pytest.mark.parametrize("entropy_weight", [0.0, 0.1, -0.1])
def test_a_weight_of_zero_keeps_the_gradient_finite(entropy_weight: float) -> None:
    logits = torch.tensor([[[[200.0, 0.0, 1.0]], [[0.5, 0.2, 0.1]]]], requires_grad=True)
    seen = routing(logits.softmax(-1))
    specialization_balance_loss(seen, 0.01, entropy_weight).backward()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


def test_entropy_is_that_of_the_weights() -> None:
    seen = routing(torch.tensor([[[[0.5, 0.5, 0.0]], [[1.0, 0.0, 0.0]]]]))
    assert seen.entropy.item() == pytest.approx(torch.tensor(2.0).log().item() / 2)
