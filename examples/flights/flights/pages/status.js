// What a flight's status is called, and its tone; a word always stands beside the colour.

export const LATE_MIN = 15;

const STATUSES = {
  scheduled: ["plain", "Scheduled"],
  departed: ["calm", "Departed"],
  arrived: ["good", "Arrived"],
  diverted: ["odd", "Diverted"],
  cancelled: ["bad", "Cancelled"],
};

export const toneOf = (status) => STATUSES[status]?.[0] ?? "plain";
export const wordOf = (status) => STATUSES[status]?.[1] ?? status;
export const isLate = (minutes) => minutes !== null && minutes >= LATE_MIN;
