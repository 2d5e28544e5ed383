"""The real backends of the end-to-end tests: `build` makes the binaries, `run` starts them."""
