"""A domain of one's own: parcels are posted, and then delivered or returned."""
