"""The pages of `flights`: files served under `/pages/flights/`."""
