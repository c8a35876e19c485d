"""Plans from lists of keys instead of a listing of the bucket: texts, CSV, JSON lines.

An entry of a list is a key, and perhaps the version to copy, its size and its ETag. What a comparison needs and the list
leaves out is looked up at S3 while the plan is made, in the order of the keys, in bounded memory.
"""
