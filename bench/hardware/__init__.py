"""Chips compiled by Verilator beside the golden model."""
