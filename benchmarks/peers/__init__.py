"""Whom zeroskip is compared with, each at its best: one file a library.

Everything that can be done once is done before the timing, as `zeroskip.Layer.bind` does it:
conversions, analysis, packing.
"""
