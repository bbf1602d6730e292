"""`python -m snngen` is the program `snngen`."""

from snngen.cli import main

main()
