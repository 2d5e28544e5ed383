"""Through a record: one quick look, and a walk where that is not enough."""
