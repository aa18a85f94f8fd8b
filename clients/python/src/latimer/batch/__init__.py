"""Batches: many texts through servers, with a journal that makes a stopped batch go on and a translation memory.

    inputs      files, folders, patterns and pipes, and where their outputs go
    job         a batch from its inputs to its outputs
    runner      units out, results back into the files in order; knows no format and no server
    translating, summaries   senders: streams of translations, calls of summaries; `sending` is their queue
    journal     finished units on the disk; `digest_index` finds them
    memory      results of earlier batches and translations by people
    output      files that appear when they are whole
    counts, report, estimate   what a batch has done, and would do
    glossary    terms and protected phrases

Needs the extra `[files]`. `latimer.cli` is its user.
"""
