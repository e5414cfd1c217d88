"""The recipe of the speech starter model: synthetic voices and faces, and one small model for both.

grammar   six words a sentence           voice    espeak-ng says them, with the times of its sounds
face      a drawn mouth that moves so    clips    both together, on disk
encoder   an AV-HuBERT in small          reader   a Llama in small that reads it
score     word errors in babble          build    all of it in one command
"""
