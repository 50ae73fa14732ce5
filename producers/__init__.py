"""The write side: deciders, process managers, domains, and the sending of commands. Knows nothing of read models."""
