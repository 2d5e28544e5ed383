"""What most texts never get past: whether any rule may find something in them."""
