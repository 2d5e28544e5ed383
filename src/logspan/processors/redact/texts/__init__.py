"""Secrets inside of texts that a key, a word or the place beside a name announces."""
