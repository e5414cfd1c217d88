"""Speech: a clip's sound and lips become tokens of a language model, which says the words (Llama-AVSR, arXiv
2409.12319).

Plain PyTorch, usable without the studio. Importing the package loads no torch: what reads checkpoints and
clips (`convert`, `mouth`, `video`) needs none.

encoder = read_avhubert(folder)                         engine.speech.avhubert.file
model = SpeechModel(llm, tokenizer, config, audio=whisper, video=encoder)    engine.speech.model
task = SpeechTask(model, clips); train(task, ...)       engine.speech.training
transcribe(model, [clip], "both")                       engine.speech.decoding
"""
