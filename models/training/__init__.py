"""Training of the networks that the liveness library embeds, from images to ONNX to figures."""
