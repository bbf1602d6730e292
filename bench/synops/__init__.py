"""Accuracy against synaptic operations: `python -m bench.synops`."""
