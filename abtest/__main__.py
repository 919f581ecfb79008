"""``python -m abtest``."""

from abtest.cli import main

if __name__ == "__main__":
    main()
