"""The read models of `flights`."""

from projections.flights.aircraft import aircraft
from projections.flights.board import board
from projections.flights.flights import flights
from projections.flights.punctuality import punctuality

projections = [flights, board, punctuality, aircraft]
