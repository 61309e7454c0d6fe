"""Tree search over partial architectures."""
