"""Pixel data as values: frames, codecs, rendering. Pure, no I/O.

pixel data ─▶ frames ─▶ codecs.transcode ─▶ stored frame, verified ─▶ codecs.decode ─▶ rendering
"""
