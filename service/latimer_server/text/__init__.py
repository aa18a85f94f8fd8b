"""Pure functions over strings: segmentation, casing, normalization, alignment, language detection, markup,
protection, checks.
"""
