"""Finds objects in a clip without any mask, and makes their masks.

A detector looks at few frames; what it shows is joined to objects (`search`), some of it becomes
reference masks (`objects`), and `segment` makes the masks of all frames from these (`run`).
"""
