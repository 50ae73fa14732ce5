"""The read models of `flights`."""

from flights.projections.aircraft import aircraft
from flights.projections.board import board
from flights.projections.flights import flights
from flights.projections.punctuality import punctuality

projections = [flights, board, punctuality, aircraft]
