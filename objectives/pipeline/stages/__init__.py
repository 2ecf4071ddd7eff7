"""The stages between a candidate and its exported file, one a module: adding one is adding a file.

Each module names its class as ``STAGE``; see :class:`~greenfront.objectives.pipeline.stage.Stage`.
"""
