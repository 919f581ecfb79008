"""The Pulumi program of this project; abtest/program.py says what it does."""

from abtest.program import run

run()
