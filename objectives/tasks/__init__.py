"""The data sets a study can be run on."""
