"""One script per claim; README.md lists them. Each is run at the project's root: python -m benchmarks.NAME."""
