"""Coverage-guided fuzzing: what strangers can send, tried at random and towards new branches.

Each target takes bytes and fails where something does not hold that has to. atheris (libFuzzer)
changes inputs of the corpus and keeps those that reach code no other reached. pycrdt is not
instrumented: what is new to it counts only as far as our own reader sees it as well.
"""
