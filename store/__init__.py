"""Redis: slices, generations, outcomes, signs of life.

The only room that knows how anything lies in Redis; it knows no Kafka.
"""
