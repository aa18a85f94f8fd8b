"""Functions over strings: segmentation, casing, normalization, alignment, language detection, markup, protection and
checks. All but the language detector are pure.
"""
