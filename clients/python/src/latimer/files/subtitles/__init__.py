"""Subtitles: SubRip, WebVTT and Advanced SubStation Alpha.

The readers are our own, since pysubs2 writes a file again without header, styles, notes, regions, voices and positions.
A format finds its cues; `cues` joins those of one sentence, and divides and wraps the translation.
"""
