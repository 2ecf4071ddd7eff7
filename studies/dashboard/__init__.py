"""optuna-dashboard on a storage, with a study's own figures, notes and files in it."""
