"""Training of the networks that the liveness library embeds, from images to ONNX to figures."""

import cv2

# Workers are forked: a thread pool that OpenCV started before would be gone in them and hang.
cv2.setNumThreads(0)
