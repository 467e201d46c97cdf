"""Benchmarks of speed and memory: ratios measured in one run, stated against a limit, never asserted.

python -m bench [NAME ...] [--quick] ─▶ corpus ─▶ a real server ─▶ figures on the screen and in JSON files
"""
