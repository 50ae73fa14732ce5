// The pages of `flights`. What a page module is: the comment at the top of /assets/shell.js.

import { Board } from "./board.js";
import { Flight } from "./flight.js";
import { Punctuality } from "./punctuality.js";

export default {
  title: "Flights",
  styles: ["flights.css"],
  views: [
    { path: "board", title: "Departures", menu: true, component: Board },
    { path: "punctuality", title: "Punctuality", menu: true, component: Punctuality },
    { path: "flight", title: "Flight", component: Flight },
  ],
};
