"""After a search: what else can be won on a file that was picked."""
