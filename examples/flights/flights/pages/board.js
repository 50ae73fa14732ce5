// Departures of an airport on a day, which change as they change: #/flights/board/JFK/2013-01-08
//
// A wall shows what is yet to depart, of whichever day it is: #/flights/board/JFK/today/scheduled

import { Clock, Flaps, LiveSign, Notice, Spoken } from "/assets/parts.js";
import { html, useEffect, useMemo, useRef, useState } from "/assets/preact.js";
import { useKeys } from "/assets/keys.js";
import { useLiveRows } from "/assets/rows.js";
import { cityOf, zoneOf } from "./airports.js";
import { isLate, toneOf, wordOf } from "./status.js";
import { delayed, isDay, local, longDay, shifted, today, zoneName } from "./times.js";

const AIRPORTS = ["EWR", "JFK", "LGA"];
// The days of 2013 are what the data that comes along is about.
const SAMPLE_DAY = "2013-01-08";
const STATUSES = ["scheduled", "departed", "arrived", "diverted", "cancelled"];

export function Board({ args: [code, date, which], address, setTitle }) {
  const airport = /^[A-Za-z]{3}$/.test(code ?? "") ? code.toUpperCase() : "JFK";
  const zone = zoneOf(airport);
  const current = useToday(zone);
  const day = isDay(date) ? date : current;
  const chosenDay = isDay(date) ? date : "today";
  const status = STATUSES.includes(which) ? which : null;
  const [sought, setSought] = useState("");
  const search = useRef();
  const path = `/${airport}?date=${day}`;
  const { rows, loaded, state, problem, fresh } = useLiveRows(`/queries/board${path}&limit=500`, `/changes/board${path}`);
  useEffect(() => setTitle(`${airport} departures, ${day}`), [airport, day]);

  const go = (code, day) => (location.hash = address("board", code, day, status));
  useKeys([
    { key: "p", label: "The day before", act: () => go(airport, shifted(day, -1)) },
    { key: "n", label: "The next day", act: () => go(airport, shifted(day, 1)) },
    { key: "/", label: "Find a flight", act: () => search.current.focus() },
  ]);

  const all = useMemo(() => [...rows.values()].sort(inOrder), [rows]);
  const counts = useMemo(() => counted(all), [all]);
  // Who waits for a flight sees it depart before it goes.
  const belongs = (row) => status === null || row.status === status || (status === "scheduled" && fresh.has(row.id));
  const shown = all.filter((row) => belongs(row) && matches(row, sought));
  const noon = `${day}T17:00:00Z`;
  return html`<section class="board" aria-label="Departures">
    <header class="sign">
      <span class="flaps code" aria-hidden="true"><${Flaps} text=${airport} /></span>
      <div class="where">
        <h1><span class="unseen">${airport} </span>Departures</h1>
        <p>${cityOf(airport)}, <time datetime=${day}>${longDay(day)}</time></p>
      </div>
      <${LiveSign} state=${state} />
      <${Clock} zone=${zone} label=${zone === "UTC" ? "UTC" : `${cityOf(airport).replace(/ (JFK|LaGuardia)$/, "")} time`} />
    </header>
    <${Choice} airport=${airport} day=${day} current=${current} status=${status} address=${address} go=${go} />
    <${Notice} problem=${problem} />
    ${all.length > 0 &&
    html`<div class="toolbar filters">
        <nav aria-label="Which flights">
          <a class="button" href=${address("board", airport, chosenDay)} aria-current=${status === null ? "true" : null}>All <b>${all.length}</b></a>
          ${STATUSES.filter((each) => counts[each] || each === status).map(
            (each) => html`<a class="button" key=${each} data-tone=${toneOf(each)} href=${address("board", airport, chosenDay, each)} aria-current=${status === each ? "true" : null}>
              <i class="mark" aria-hidden="true"></i>${wordOf(each)} <b>${counts[each] ?? 0}</b>
            </a>`,
          )}
        </nav>
        <label class="find"><span class="unseen">Find a flight or a destination</span>
          <input type="search" ref=${search} value=${sought} placeholder="Flight or destination" onInput=${(event) => setSought(event.target.value)} />
        </label>
      </div>
      <div class="table-frame">
        <table class="departures">
          <caption class="unseen">Departures from ${cityOf(airport)} on ${longDay(day)}; times are ${zoneName(zone, noon)}</caption>
          <thead><tr>
            <th scope="col">Time <abbr title=${zone}>${zoneName(zone, noon)}</abbr></th><th scope="col">Destination</th><th scope="col" class="wide">Flight</th>
            <th scope="col">Status</th><th scope="col" class="wide">Departed</th><th scope="col" class="late-head">Delay</th>
          </tr></thead>
          <tbody>${shown.map((row) => html`<${Departure} key=${row.id} row=${row} zone=${zone} day=${day} fresh=${fresh.has(row.id)} href=${address("flight", row.id)} />`)}</tbody>
        </table>
        ${shown.length === 0 && html`<p class="empty">No flight is like that.</p>`}
      </div>`}
    ${loaded && all.length === 0 && !problem && html`<${Empty} airport=${airport} day=${day} address=${address} />`}
    ${!loaded && !problem && html`<p class="empty">Asking the server …</p>`}
    <${Spoken} text=${spoken(rows, fresh)} />
  </section>`;
}

function Choice({ airport, day, current, status, address, go }) {
  const other = useRef();
  function chosen(event) {
    event.preventDefault();
    const code = other.current.value.trim().toUpperCase();
    if (!/^[A-Z]{3}$/.test(code)) return;
    other.current.value = "";
    go(code, day);
  }
  return html`<div class="toolbar choice">
    <nav class="group" aria-label="Airport">
      ${AIRPORTS.map((code) => html`<a class="button" key=${code} href=${address("board", code, day === current ? "today" : day, status)} aria-current=${code === airport ? "true" : null}>${code}</a>`)}
    </nav>
    <form onSubmit=${chosen}>
      <label><span class="unseen">Another airport, three letters</span><input ref=${other} class="iata" maxlength="3" size="5" placeholder="Other" autocomplete="off" spellcheck=${false} /></label>
    </form>
    <div class="group day">
      <a class="button" href=${address("board", airport, shifted(day, -1), status)} aria-label="The day before"><span aria-hidden="true">‹</span></a>
      <label><span class="unseen">Day</span><input type="date" value=${day} onChange=${(event) => isDay(event.target.value) && go(airport, event.target.value)} /></label>
      <a class="button" href=${address("board", airport, shifted(day, 1), status)} aria-label="The next day"><span aria-hidden="true">›</span></a>
    </div>
    ${day !== current && html`<a class="button" href=${address("board", airport, "today", status)}>Today</a>`}
  </div>`;
}

function Departure({ row, zone, day, fresh, href }) {
  const departed = local(row.departed_at, zone, day);
  const scheduled = local(row.scheduled_departure, zone, day);
  const late = isLate(row.delay_min);
  return html`<tr data-id=${row.id} data-status=${row.status} class=${fresh ? "fresh" : null}>
    <td class="time"><time datetime=${row.scheduled_departure}>${scheduled.text}</time></td>
    <th scope="row"><a href=${href}><span class="city">${cityOf(row.destination)}</span><span class="iata">${row.destination}</span><span class="narrow">${row.flight}</span></a></th>
    <td class="wide flight">${row.flight}</td>
    <td><span class="status" data-tone=${toneOf(row.status)} key=${row.status}><i class="mark" aria-hidden="true"></i>${wordOf(row.status)}</span></td>
    <td class="wide time">${departed && html`<time datetime=${row.departed_at}>${departed.text}</time>${departed.later > 0 && html`<sup>+${departed.later}<span class="unseen"> day</span></sup>`}`}</td>
    <td class="delay" data-tone=${late ? "wait" : null}>${row.delay_min === null ? "" : delayed(row.delay_min)}</td>
  </tr>`;
}

function Empty({ airport, day, address }) {
  return html`<div class="empty">
    <p><b>No departures from ${airport} on ${longDay(day)}.</b></p>
    ${day !== SAMPLE_DAY && html`<p>The data that comes along is of 2013: look at <a href=${address("board", AIRPORTS.includes(airport) ? airport : "JFK", SAMPLE_DAY)}>${longDay(SAMPLE_DAY)}</a>.</p>`}
  </div>`;
}

// A wall goes on with the next day at midnight.
function useToday(zone) {
  const [day, setDay] = useState(() => today(zone));
  useEffect(() => {
    setDay(today(zone));
    const timer = setInterval(() => setDay(today(zone)), 30_000);
    return () => clearInterval(timer);
  }, [zone]);
  return day;
}

function inOrder(one, other) {
  return one.scheduled_departure < other.scheduled_departure ? -1 : one.scheduled_departure > other.scheduled_departure ? 1 : one.id < other.id ? -1 : 1;
}

function counted(rows) {
  const counts = {};
  for (const { status } of rows) counts[status] = (counts[status] ?? 0) + 1;
  return counts;
}

function matches(row, sought) {
  const text = `${row.flight} ${row.flight.replace(" ", "")} ${row.destination} ${cityOf(row.destination)}`.toLowerCase();
  return text.includes(sought.trim().toLowerCase());
}

function spoken(rows, fresh) {
  const changed = [...fresh].map((id) => rows.get(id)).filter(Boolean);
  if (changed.length > 3) return `${changed.length} flights changed`;
  return changed
    .map((row) => `${row.flight} to ${cityOf(row.destination)}: ${wordOf(row.status)}${isLate(row.delay_min) ? `, ${row.delay_min} minutes late` : ""}`)
    .join(". ");
}
