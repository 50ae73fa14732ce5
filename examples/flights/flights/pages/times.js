// Times as people at an airport read them. The server's times are UTC.

// "14:05" in a zone, with the days that lie between it and `day` ("2013-01-08") as `later`: 1 for the next one.
export function local(time, zone, day = null) {
  if (time === null) return null;
  const parts = partsOf(time, zone);
  const date = `${parts.year}-${parts.month}-${parts.day}`;
  return { text: `${parts.hour}:${parts.minute}`, date, later: day === null ? 0 : Math.round((Date.parse(date) - Date.parse(day)) / 86_400_000) };
}

// What a zone is called at a time: "EST".
export function zoneName(zone, time) {
  const parts = new Intl.DateTimeFormat("en-US", { timeZone: zone, timeZoneName: "short" }).formatToParts(new Date(time));
  return parts.find((part) => part.type === "timeZoneName").value;
}

export const today = (zone) => local(new Date(), zone).date;

export function shifted(day, by) {
  return new Date(Date.parse(day) + by * 86_400_000).toISOString().slice(0, 10);
}

export const isDay = (text) => /^\d{4}-\d{2}-\d{2}$/.test(text ?? "") && !Number.isNaN(Date.parse(text)) && shifted(text, 0) === text;

// "Tuesday, 8 January 2013"
export function longDay(day) {
  const { weekday, rest } = { weekday: "long", rest: { day: "numeric", month: "long", year: "numeric" } };
  const on = new Date(`${day}T12:00:00Z`);
  return `${on.toLocaleDateString("en-GB", { weekday, timeZone: "UTC" })}, ${on.toLocaleDateString("en-GB", { ...rest, timeZone: "UTC" })}`;
}

// "+1 h 05", "−3 min"
export function delayed(minutes) {
  const size = Math.abs(minutes);
  const text = size < 60 ? `${size} min` : `${Math.floor(size / 60)} h ${String(size % 60).padStart(2, "0")}`;
  return minutes < 0 ? `−${text}` : minutes > 0 ? `+${text}` : "on time";
}

const formats = new Map();
function partsOf(time, zone) {
  if (!formats.has(zone)) {
    const digits = "2-digit";
    const options = { year: "numeric", month: digits, day: digits, hour: digits, minute: digits, hourCycle: "h23", timeZone: zone };
    formats.set(zone, new Intl.DateTimeFormat("en-CA", options));
  }
  return Object.fromEntries(formats.get(zone).formatToParts(new Date(time)).map(({ type, value }) => [type, value]));
}
