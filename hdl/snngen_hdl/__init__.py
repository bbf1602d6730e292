"""Hardware cores of snngen in Amaranth."""
