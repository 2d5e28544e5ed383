"""Whether a value is the secret that its key announces."""
