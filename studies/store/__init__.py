"""What is kept: studies, trials, the ledger and the runs, in one database."""
