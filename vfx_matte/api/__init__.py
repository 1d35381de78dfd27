"""The public Python API, exported by `vfx_matte`.

Like the command line it calls the pipeline, with paths, numbers, arrays and options by name. It
reads no config.ini.
"""
