"""Long-running daemons and replay jobs, and what they share: one worker loop, patience, parked records."""
