"""How masks look to somebody who checks them.

Takes masks and pictures, gives measures and what stands out; reads no file.
"""
