"""Tables as csv, json, md, latex or parquet: the tidy frame of a run, or the rows of a comparison.

A table is a pandas DataFrame or a sequence of mappings. Texts are escaped for the program that opens them.
"""
