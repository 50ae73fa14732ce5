// The view Operations: the length of the logs, what comes in, what is asked, and how far each projection is.

import { Bar, Notice, Sparkline, Spoken } from "./parts.js";
import { usePolled } from "./polled.js";
import { html, useEffect, useState } from "./preact.js";
import { domainTotal, foldedTotal, kept, rates, shownRate } from "./rates.js";

const EVERY_MS = 2_000;
const SHOWN = 90;
const FEW = 20;
// Kept while another view is looked at, so that the lines are there when one comes back.
let answers = [];

const TONES = { live: "good", runs: "good", lagging: "wait", rebuilding: "wait", stalled: "bad", silent: "bad", parked: "wait" };
const tone = (state) => TONES[state] ?? (state?.startsWith("never") ? "bad" : "plain");
const number = (value) => (value == null ? "–" : value.toLocaleString("en"));

export function Operations() {
  const { answer, problem } = usePolled("/operations", EVERY_MS);
  const [, draw] = useState(0);
  useEffect(() => {
    if (answer === null) return;
    answers = kept(answers, answer);
    draw((times) => times + 1);
  }, [answer]);
  const now = answer ?? answers.at(-1);
  if (!now) return html`<${Title} /><${Notice} problem=${problem} />${!problem && html`<p class="hint">Asking the server …</p>`}`;
  const projections = now.projections ?? [];
  const troubles = projections.filter((each) => tone(each.state) === "bad" || each.parked > 0);
  return html`<${Title} time=${now.time} />
    <${Notice} problem=${problem} />
    ${now.error && html`<${Notice} problem=${{ title: "Not all can be told", detail: now.error }} />`}
    <${Spoken} text=${spoken(projections, troubles)} />
    <section class="domains" aria-label="Domains">
      ${(now.domains ?? []).map((domain) => html`<${Domain} key=${domain.name} domain=${domain} />`)}
    </section>
    <h2>Projections</h2>
    <div class="projections">
      ${projections.map((each) => html`<${Projection} key=${`${each.name} ${each.version}`} projection=${each} />`)}
    </div>
    <h2>Daemons</h2>
    ${now.daemons?.length
      ? html`<ul class="daemons">${now.daemons.map((daemon) => html`<${Daemon} key=${`${daemon.role} ${daemon.name}`} daemon=${daemon} />`)}</ul>`
      : html`<p class="hint">None has given a sign of life.</p>`}`;
}

function Title({ time }) {
  return html`<div class="title"><h1>Operations</h1>${time && html`<p class="hint">As of <time datetime=${time}>${time.slice(11, 19)}</time> UTC, every 2 seconds</p>`}</div>`;
}

function Domain({ domain }) {
  const shown = [
    ["events", "Events", "positions in the log"],
    ["commands", "Commands", "taken"],
    ["queries", "Queries", "answered"],
  ];
  return html`<article class="card">
    <h2>${domain.name}</h2>
    <div class="measures">
      ${shown.map(([field, title, what]) => {
        const line = rates(answers.slice(-SHOWN - 1), domainTotal(domain.name, field));
        const rate = shownRate(line.at(-1));
        return html`<div class="measure" key=${field}>
          <h3>${title}</h3>
          <p class="rate"><b>${domain[field] == null ? "–" : rate}</b> <span>a second</span></p>
          <${Sparkline} values=${line} length=${Math.max(FEW, line.length)} label=${`${title} of ${domain.name} over the last minutes, now ${rate} a second`} />
          <p class="total"><b>${number(domain[field])}</b> ${domain[field] == null ? "" : what}</p>
        </div>`;
      })}
    </div>
  </article>`;
}

function Projection({ projection }) {
  const { name, domain, version, generation, state, parked, rebuild, partitions } = projection;
  const line = rates(answers.slice(-SHOWN - 1), foldedTotal(name));
  const lag = partitions.reduce((sum, each) => sum + (each.lag ?? 0), 0);
  const topics = [...new Set(partitions.map((each) => each.topic))];
  const stalled = partitions.filter((each) => each.stalled);
  return html`<article class="card projection" data-tone=${tone(state)}>
    <header>
      <div><h3>${name}</h3><p class="hint">${domain} · version ${version} · ${generation ? `generation ${generation}` : "no generation"}</p></div>
      <span class="badge" data-tone=${tone(state)}>${state}</span>
    </header>
    <div class="figures"><dl>
      <div data-tone=${lag > 0 ? "wait" : null}><dt>Lag</dt><dd>${number(lag)}</dd></div>
      <div><dt>Events/s</dt><dd>${shownRate(line.at(-1))}</dd></div>
      <div data-tone=${parked > 0 ? "wait" : null}><dt>Parked keys</dt><dd>${number(parked)}</dd></div>
      </dl><div class="line"><${Sparkline} values=${line} length=${Math.max(FEW, line.length)} label=${`Events that ${name} folded over the last minutes, now ${shownRate(line.at(-1))} a second`} /></div>
    </div>
    ${rebuild && html`<${Rebuild} rebuild=${rebuild} />`}
    ${stalled.map((each) => html`<p class="stalled" key=${`${each.topic}/${each.partition}`}><b>${each.topic}/${each.partition} is stalled:</b> ${each.stalled}</p>`)}
    ${partitions.length > 0 &&
    html`<div class="scrolls" tabindex="0" role="region" aria-label=${`Partitions of ${name}`}>
      <table class="partitions">
        <thead><tr><th scope="col">${topics.length === 1 ? `${topics[0]}/` : "Partition"}</th><th scope="col" class="num">Position</th><th scope="col" class="num">Lag</th><th scope="col" class="num">Events/s</th><th scope="col" class="num">Parked</th></tr></thead>
        <tbody>${partitions.map((each) => html`<${Partition} key=${`${each.topic}/${each.partition}`} projection=${name} of=${each} topic=${topics.length > 1} />`)}</tbody>
      </table>
    </div>`}
  </article>`;
}

function Partition({ projection, of, topic }) {
  const place = topic ? `${of.topic}/${of.partition}` : of.partition;
  const rate = shownRate(rates(answers.slice(-2), foldedTotal(projection, of)).at(-1));
  return html`<tr data-tone=${of.stalled ? "bad" : of.lag > 0 ? "wait" : "good"}>
    <th scope="row"><i aria-hidden="true"></i>${place}${of.stalled && html` <span class="badge" data-tone="bad">stalled</span>`}</th>
    <td class="num">${number(of.offset)}<span class="of"> / ${number(of.end)}</span></td>
    <td class="num">${number(of.lag)}</td>
    <td class="num">${rate}</td>
    <td class="num">${number(of.parked)}</td>
  </tr>`;
}

function Rebuild({ rebuild }) {
  const share = rebuild.end > 0 ? Math.floor((100 * rebuild.offset) / rebuild.end) : 0;
  const text = `Rebuilding ${rebuild.generation}: ${share} %`;
  return html`<div class="rebuild">
    <p><b>${text}</b> <span class="hint">${number(rebuild.offset)} of ${number(rebuild.end)}</span></p>
    <${Bar} value=${rebuild.offset} most=${rebuild.end} label=${text} tone="wait" />
  </div>`;
}

// Those of projectors are told with their projections.
function standing(daemon) {
  return daemon.role === "projector" ? [] : Object.entries(daemon.stalled);
}

function Daemon({ daemon }) {
  return html`<li data-tone=${tone(daemon.state)}>
    <i aria-hidden="true"></i><b>${daemon.name}</b> <span class="hint">${daemon.role}</span>
    <span class="seen">${daemon.state}, seen ${daemon.seen_s_ago.toFixed(daemon.seen_s_ago < 10 ? 1 : 0)} s ago</span>
    ${standing(daemon).map(([place, error]) => html`<p class="stalled" key=${place}><b>${place} stands still:</b> ${error}</p>`)}
  </li>`;
}

function spoken(projections, troubles) {
  if (!troubles.length) return `${projections.length} projections, none in trouble`;
  return troubles.map((each) => `${each.name}: ${each.state}${each.parked ? `, ${each.parked} keys parked` : ""}`).join("; ");
}
