"""Proofs that the cores do what is said of them, for all inputs: `python -m hdl.proofs`."""
