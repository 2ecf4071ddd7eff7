"""A study on a cluster: each worker an actor of Ray, all of them on one database."""
