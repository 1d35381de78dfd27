"""SAM 2 and EdgeTAM behind the protocol of propagators."""
