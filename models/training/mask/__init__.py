"""Whether the aligned face wears a mask."""
