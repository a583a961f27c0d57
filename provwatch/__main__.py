"""Run the command line with ``python -m provwatch``."""

from provwatch.cli import main

if __name__ == "__main__":
    main()
