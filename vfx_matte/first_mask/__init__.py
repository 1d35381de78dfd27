"""The first mask of a clip: from a box, clicks, strokes or nothing. Takes one picture and what was marked, gives a mask."""
