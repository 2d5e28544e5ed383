"""Whether what matched is what it looks like."""
