"""What transformers and PEFT are given in the place of our batches."""

import pytest
import torch


@pytest.fixture
def labelled():
    """Examples, whole and right-padded, as transformers learns them: their completions are the labels."""

    def _labelled(examples):
        longest = max(len(example.ids) for example in examples)
        ids = torch.zeros(len(examples), longest, dtype=torch.long)
        labels, mask = torch.full_like(ids, -100), torch.zeros_like(ids)
        for row, example in enumerate(examples):
            whole, end = torch.tensor(example.ids), len(example.ids)
            ids[row, :end], mask[row, :end] = whole, 1
            labels[row, example.asked : end] = whole[example.asked :]
        return {"input_ids": ids, "attention_mask": mask, "labels": labels}

    return _labelled
