"""The command handler: decides the commands of a domain, each partition by one writer."""
