"""Files that people and programs exchange about the masks of a clip.

Writers take the frames one after another and keep nothing but run lengths; readers decode a mask
when it is asked for. Clips are not opened here.
"""
