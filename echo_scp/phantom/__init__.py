"""Synthetic echocardiograms with known volumes: for the demo, the tests and a share of the training."""
