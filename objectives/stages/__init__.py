"""The steps of a trial, each a function of its input artefact, its knobs and a seed."""
