"""The public Python API, exported by `vfx_matte`: a door like the command line.

It takes paths, numbers, arrays and options by name, calls the pipeline, and reads no config.ini.
"""
