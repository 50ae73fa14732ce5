"""The write side of `flights`: its decider, its commands on the command line, the importer of real data."""
