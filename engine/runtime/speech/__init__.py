"""The process for everything of speech: it transcribes with any model, and trains one while it does."""
