"""Run networks. Nothing of what they do is told to anybody."""

import os

# From 1.29 on ONNX Runtime tells its maker of each process, model and error unless this is set before its first import.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
