"""Prices, what an attempt cost, GPU-hours. Integer nano-dollars."""
