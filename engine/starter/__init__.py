"""The recipes that made the starter pack: words, tasks, tokenizer, corpus, base, experts and the build."""
