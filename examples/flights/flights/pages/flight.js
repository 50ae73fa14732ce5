// One flight: how it stands, and what happened to it: #/flights/flight/UA1545:2013-01-01:EWR

import { json } from "/assets/api.js";
import { Flaps, LiveSign, Notice, Spoken } from "/assets/parts.js";
import { html, useEffect, useState } from "/assets/preact.js";
import { useLiveRows } from "/assets/rows.js";
import { cityOf, zoneOf } from "./airports.js";
import { carrierName } from "./carriers.js";
import { isLate, toneOf, wordOf } from "./status.js";
import { delayed, local, longDay, zoneName } from "./times.js";

const STEPS = { FlightScheduled: "scheduled", FlightDeparted: "departed", FlightArrived: "arrived", FlightDiverted: "diverted", FlightCancelled: "cancelled" };

export function Flight({ args: [id = ""], address, setTitle }) {
  const part = encodeURIComponent(id);
  const { rows, loaded, state, problem } = useLiveRows(`/queries/flights/${part}`, `/changes/flights/${part}`);
  const row = rows.get(id);
  const { events, failed } = useHistory(part, loaded ? JSON.stringify(row ?? null) : null);
  useEffect(() => setTitle(row ? `${row.carrier} ${row.flight_number}, ${row.flight_date}` : id), [id, row === undefined]);
  return html`<section class="flight-view" aria-label="Flight">
    ${row ? html`<${Head} row=${row} state=${state} address=${address} /><${Facts} row=${row} />` : html`<div class="title"><h1>${id}</h1><${LiveSign} state=${state} /></div>`}
    <${Notice} problem=${problem} />
    ${!loaded && !problem && html`<p class="empty">Asking the server …</p>`}
    ${events.length > 0 &&
    html`<section class="card"><h2>What happened</h2>
      <ol class="timeline">${events.map((event) => html`<${Event} key=${event.position} event=${event} row=${row} />`)}</ol>
    </section>`}
    <${Notice} problem=${failed} />
    <${Spoken} text=${row ? `${wordOf(row.status)}${isLate(row.departure_delay_min) ? `, ${row.departure_delay_min} minutes late` : ""}` : ""} />
  </section>`;
}

function Head({ row, state, address }) {
  const flight = `${row.carrier} ${row.flight_number}`;
  return html`<p><a href=${address("board", row.origin, row.flight_date)}>‹ Departures from ${row.origin}</a></p>
    <header class="sign">
      <span class="flaps code" aria-hidden="true"><${Flaps} text=${flight} /></span>
      <div class="where">
        <h1><span class="unseen">${flight} </span>${cityOf(row.origin)} to ${cityOf(row.destination)}</h1>
        <p>${carrierName(row.carrier)}, <time datetime=${row.flight_date}>${longDay(row.flight_date)}</time></p>
      </div>
      <${LiveSign} state=${state} />
      <span class="status big" data-tone=${toneOf(row.status)} key=${row.status}><i class="mark" aria-hidden="true"></i>${wordOf(row.status)}</span>
    </header>`;
}

function Facts({ row }) {
  const end = row.diverted_to ?? row.destination;
  return html`<div class="route card" data-status=${row.status}>
      <${End} code=${row.origin} planned=${row.scheduled_departure} actual=${row.departed_at} delay=${row.departure_delay_min} what="Departure" />
      <${Way} status=${row.status} />
      <${End} code=${row.destination} planned=${row.scheduled_arrival} actual=${row.arrived_at} delay=${row.arrival_delay_min} what="Arrival" />
    </div>
    <dl class="facts">
      ${row.diverted_to && html`<div data-tone="odd"><dt>Diverted to</dt><dd>${cityOf(end)} (${end})</dd></div>`}
      <div><dt>Aircraft</dt><dd>${row.tail_number ?? "not known"}</dd></div>
      <div><dt>Distance</dt><dd>${row.distance_mi.toLocaleString("en")} mi</dd></div>
      <div><dt>In the air</dt><dd>${row.air_time_min === null ? "–" : `${Math.floor(row.air_time_min / 60)} h ${String(row.air_time_min % 60).padStart(2, "0")}`}</dd></div>
      <div><dt>Events</dt><dd>${row.version}</dd></div>
    </dl>`;
}

function End({ code, planned, actual, delay, what }) {
  const zone = zoneOf(code);
  const [plan, real] = [local(planned, zone), local(actual, zone)];
  return html`<div class="end">
    <p class="hint">${what}, ${zoneName(zone, planned)}</p>
    <p class="iata">${code}</p>
    <p class="times">${real && real.text !== plan.text ? html`<s><span class="unseen">planned </span>${plan.text}</s> <b>${real.text}</b>` : html`<b>${plan.text}</b>`}</p>
    <p class="delay" data-tone=${delay === null ? "plain" : isLate(delay) ? "wait" : "good"}>${delay === null ? "planned" : delayed(delay)}</p>
  </div>`;
}

// Where the aircraft is on its way, as far as its events say.
function Way({ status }) {
  const at = { scheduled: 0, cancelled: 0, departed: 110, diverted: 160, arrived: 220 }[status] ?? 0;
  return html`<svg class="way" viewBox="0 0 240 24" aria-hidden="true" data-tone=${toneOf(status)}>
    <line class="way-ground" x1="10" y1="12" x2="230" y2="12" /><line class="way-flown" x1="10" y1="12" x2=${10 + at} y2="12" />
    <circle cx="10" cy="12" r="2.5" /><circle cx="230" cy="12" r="2.5" />
    <path class="plane" transform=${`translate(${10 + at} 12)`} d="M8 0 L3 -1.2 L-1 -7 H-3 L-1 -1.2 L-5 -1 L-6.5 -3 H-8 L-7 0 L-8 3 H-6.5 L-5 1 L-1 1.2 L-3 7 H-1 L3 1.2 Z" />
  </svg>`;
}

function Event({ event, row }) {
  const name = (event.type ?? "Event").split(".").at(-1);
  const status = STEPS[name];
  const zone = zoneOf(["arrived", "diverted"].includes(status) ? row?.destination : row?.origin);
  const happened = event.happened === null ? null : local(event.happened, zone);
  const words = name.replace(/^Flight/, "").replace(/(?<=[a-z])(?=[A-Z])/g, " ");
  return html`<li data-tone=${toneOf(status)}>
    <div class="step"><i class="mark" aria-hidden="true"></i><h3>${words}</h3><span class="hint">version ${event.version}</span></div>
    ${happened && html`<p><time datetime=${event.happened}>${happened.text}</time> <span class="hint">${zoneName(zone, event.happened)}, ${longDay(happened.date)}</span></p>`}
    ${told(event.data, status) && html`<p>${told(event.data, status)}</p>`}
    ${event.error && html`<p class="hint">${event.error}</p>`}
    <details><summary>In the log</summary>
      <dl class="record">
        <div><dt>Position</dt><dd>${event.position}</dd></div>
        <div><dt>Recorded</dt><dd>${event.recorded}</dd></div>
        <div><dt>Type</dt><dd>${event.type}${event.schema_version === null ? "" : `, schema version ${event.schema_version}`}</dd></div>
        <div><dt>Event id</dt><dd>${event.event_id}</dd></div>
        <div><dt>Caused by</dt><dd>${event.causation_id}</dd></div>
        ${Object.entries(event.data ?? {}).map(([field, value]) => html`<div key=${field}><dt>${field}</dt><dd>${value === null ? "–" : String(value)}</dd></div>`)}
      </dl>
    </details>
  </li>`;
}

// The events of a flight, fetched anew when its row is another one.
function useHistory(part, row) {
  const [seen, setSeen] = useState({ part, events: [], failed: null });
  useEffect(() => {
    if (row === null) return undefined;
    const ended = new AbortController();
    json(`/history/flights/${part}`, { signal: ended.signal })
      .then((events) => setSeen({ part, events, failed: null }))
      .catch((failed) => {
        // One without events is without a row, which is said already.
        if (!ended.signal.aborted) setSeen((before) => ({ ...before, part, failed: failed.status === 404 ? null : failed }));
      });
    return () => ended.abort();
  }, [part, row]);
  return seen.part === part ? seen : { events: [], failed: null };
}

function told(data, status) {
  if (!data) return null;
  if (status === "scheduled") return `${cityOf(data.origin)} to ${cityOf(data.destination)}, ${data.distance_mi?.toLocaleString("en")} miles`;
  if (status === "departed") return `${delayed(data.departure_delay_min)} against the plan${data.tail_number ? `, aircraft ${data.tail_number}` : ""}`;
  if (status === "arrived") return `${delayed(data.arrival_delay_min)} against the plan`;
  if (status === "diverted") return data.diverted_to ? `To ${cityOf(data.diverted_to)}` : "To another airport";
  return data.reason ? String(data.reason) : null;
}
