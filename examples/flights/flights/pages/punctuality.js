// How punctual flights are, by carrier, origin or month: #/flights/punctuality/carrier

import { Notice } from "/assets/parts.js";
import { usePolled } from "/assets/polled.js";
import { html, useEffect } from "/assets/preact.js";
import { cityOf } from "./airports.js";
import { carrierName } from "./carriers.js";
import { LATE_MIN } from "./status.js";

const BY = { carrier: "Carrier", origin: "Airport", month: "Month" };
const EVERY_MS = 5_000;

export function Punctuality({ args: [chosen], address, setTitle }) {
  const by = chosen in BY ? chosen : "carrier";
  const { answer, problem } = usePolled(`/queries/punctuality?by=${by}`, EVERY_MS);
  useEffect(() => setTitle(`Punctuality by ${by}`), [by]);
  const rows = (answer ?? []).map((row) => ({ ...row, key: row[by], name: nameOf(by, row[by]), share: shareOf(row.arrived_late, row.arrived) }));
  rows.sort(by === "month" ? (one, other) => (one.key < other.key ? -1 : 1) : (one, other) => (one.share ?? 2) - (other.share ?? 2));
  return html`<section class="punctuality" aria-label="Punctuality">
    <div class="title"><h1>Punctuality</h1>
      <nav class="group" aria-label="By">${Object.entries(BY).map(([key, title]) => html`<a class="button" key=${key} href=${address("punctuality", key)} aria-current=${key === by ? "true" : null}>${title}</a>`)}</nav>
    </div>
    <${Notice} problem=${problem} />
    ${answer === null && !problem && html`<p class="empty">Asking the server …</p>`}
    ${answer !== null && rows.length === 0 && html`<p class="empty"><b>No flight was folded yet.</b></p>`}
    ${rows.length > 0 &&
    html`<${Totals} rows=${rows} />
      <figure class="card">
        <figcaption><h2>Late arrivals</h2><p class="hint">Share of arrived flights that came ${LATE_MIN} minutes late or later</p></figcaption>
        ${by === "month" ? html`<${Columns} rows=${rows} />` : html`<${Bars} rows=${rows} />`}
      </figure>
      <figure class="card">
        <figcaption><h2>Delay on arrival</h2><p class="hint">Half of the flights come before the mark, nine of ten before the end of the line; minutes against the plan</p></figcaption>
        <${Ranges} rows=${rows} />
      </figure>
      <${Numbers} rows=${rows} title=${BY[by]} />`}
  </section>`;
}

function Totals({ rows }) {
  const sum = (field) => rows.reduce((total, row) => total + row[field], 0);
  const [scheduled, arrived] = [sum("scheduled"), sum("arrived")];
  const shown = [
    ["Flights", scheduled.toLocaleString("en"), "plain"],
    ["On time", percent(arrived ? 1 - sum("arrived_late") / arrived : null), "good"],
    ["Cancelled", percent(shareOf(sum("cancelled"), scheduled)), "bad"],
    ["Diverted", percent(shareOf(sum("diverted"), scheduled), 2), "odd"],
  ];
  return html`<dl class="totals">${shown.map(([title, text, tone]) => html`<div key=${title} data-tone=${tone}><dt>${title}</dt><dd>${text}</dd></div>`)}</dl>`;
}

// Bars and lines are for the eye; the table below has all of it as numbers.
function Bars({ rows }) {
  const most = Math.max(0.01, ...rows.map((row) => row.share ?? 0));
  return html`<div class="bars" aria-hidden="true">
    ${rows.map(
      (row) => html`<div class="bars-row" key=${row.key}>
        <span class="bars-name"><b>${row.key}</b> ${row.name !== row.key && html`<span>${row.name}</span>`}</span>
        <svg viewBox="0 0 100 10" preserveAspectRatio="none"><rect class="ground" width="100" height="10" /><rect class="value" width=${((100 * (row.share ?? 0)) / most).toFixed(2)} height="10" /></svg>
        <span class="num">${percent(row.share)}</span>
      </div>`,
    )}
  </div>`;
}

function Columns({ rows }) {
  const most = Math.max(0.01, ...rows.map((row) => row.share ?? 0));
  return html`<div class="columns" aria-hidden="true">
    ${rows.map(
      (row) => html`<div class="column" key=${row.key}>
        <span class="num">${percent(row.share)}</span>
        <svg viewBox="0 0 10 100" preserveAspectRatio="none"><rect class="value" width="10" y=${(100 - (100 * (row.share ?? 0)) / most).toFixed(2)} height=${((100 * (row.share ?? 0)) / most).toFixed(2)} /></svg>
        <span>${row.name}</span>
      </div>`,
    )}
  </div>`;
}

function Ranges({ rows }) {
  const known = rows.filter((row) => row.arr_delay_p50_min !== null && row.arr_delay_p90_min !== null);
  const least = Math.min(0, ...known.map((row) => row.arr_delay_p50_min));
  const most = Math.max(10, ...known.map((row) => row.arr_delay_p90_min));
  const [from, to] = [Math.floor(least / 10) * 10, Math.ceil(most / 10) * 10];
  const x = (minutes) => (100 * (minutes - from)) / (to - from);
  const step = to - from > 80 ? 30 : to - from > 40 ? 20 : 10;
  const ticks = Array.from({ length: Math.floor(to / step) - Math.ceil(from / step) + 1 }, (_, place) => (Math.ceil(from / step) + place) * step);
  return html`<div class="bars" aria-hidden="true">
    ${known.map(
      (row) => html`<div class="bars-row" key=${row.key}>
        <span class="bars-name"><b>${row.key}</b> ${row.name !== row.key && html`<span>${row.name}</span>`}</span>
        <svg class="range" viewBox="0 0 100 10" preserveAspectRatio="none">
          ${ticks.map((tick) => html`<line class=${tick === 0 ? "tick zero" : "tick"} key=${tick} x1=${x(tick)} x2=${x(tick)} y1="-6" y2="16" />`)}
          <line class="value-line" x1=${x(row.arr_delay_p50_min)} x2=${x(row.arr_delay_p90_min)} y1="5" y2="5" />
          <line class="value-end" x1=${x(row.arr_delay_p50_min)} x2=${x(row.arr_delay_p50_min)} y1="-1" y2="11" />
        </svg>
        <span class="num">${signed(row.arr_delay_p50_min)} … ${signed(row.arr_delay_p90_min)}</span>
      </div>`,
    )}
    <div class="bars-row axis"><span class="bars-name"></span>
      <svg viewBox="0 0 100 16" preserveAspectRatio="none"></svg><span class="num">min</span>
      <div class="ticks">${ticks.map((tick) => html`<span key=${tick} style=${{ left: `${x(tick)}%` }}>${signed(tick)}</span>`)}</div>
    </div>
  </div>`;
}

function Numbers({ rows, title }) {
  const columns = [
    ["Flights", (row) => row.scheduled.toLocaleString("en")],
    ["Departed", (row) => row.departed.toLocaleString("en")],
    ["Arrived", (row) => row.arrived.toLocaleString("en")],
    ["Late", (row) => row.arrived_late.toLocaleString("en")],
    ["Late share", (row) => percent(row.share)],
    ["Cancelled", (row) => row.cancelled.toLocaleString("en")],
    ["Diverted", (row) => row.diverted.toLocaleString("en")],
    ["Departure p50", (row) => signed(row.dep_delay_p50_min)],
    ["p90", (row) => signed(row.dep_delay_p90_min)],
    ["Arrival p50", (row) => signed(row.arr_delay_p50_min)],
    ["p90", (row) => signed(row.arr_delay_p90_min)],
  ];
  return html`<section class="card"><h2 id="numbers">In numbers</h2><p class="hint">Delays in minutes against the plan</p>
    <div class="scrolls" tabindex="0" role="region" aria-labelledby="numbers">
      <table class="numbers">
        <thead><tr><th scope="col">${title}</th>${columns.map(([name], place) => html`<th scope="col" class="num" key=${place}>${name}</th>`)}</tr></thead>
        <tbody>${rows.map((row) => html`<tr key=${row.key}><th scope="row">${row.key}${row.name !== row.key && html` <span class="hint">${row.name}</span>`}</th>${columns.map(([, cell], place) => html`<td class="num" key=${place}>${cell(row)}</td>`)}</tr>`)}</tbody>
      </table>
    </div>
  </section>`;
}

function nameOf(by, key) {
  if (by === "carrier") return carrierName(key);
  if (by === "origin") return cityOf(key);
  return new Date(`${key}-15T12:00:00Z`).toLocaleDateString("en-GB", { month: "short", year: "2-digit", timeZone: "UTC" });
}

const shareOf = (part, whole) => (whole > 0 ? part / whole : null);
const percent = (share, digits = 1) => (share === null ? "–" : `${(100 * share).toFixed(digits)} %`);
const signed = (minutes) => (minutes === null || minutes === undefined ? "–" : minutes < 0 ? `−${-minutes}` : minutes > 0 ? `+${minutes}` : "0");
