"""What every test stands on: one torch thread, no network, no screen unless a test brings its own."""

import os

# Set before anything imports torch or Qt; child processes inherit it.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("ADAPTER_STUDIO_THREADS", "1")
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
