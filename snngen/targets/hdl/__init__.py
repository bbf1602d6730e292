"""The HDL target: a network as a pipeline of cores, planned, simulated, built."""
