"""`python -m lineas_core`."""

from lineas_core.cli import main

main()
