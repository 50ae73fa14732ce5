// Small parts that views are made of.

import { html, useEffect, useRef, useState } from "./preact.js";

const STATES = {
  connecting: ["wait", "Connecting"],
  live: ["good", "Live"],
  reconnecting: ["wait", "Reconnecting"],
  stale: ["bad", "Stale"],
  refused: ["bad", "Not live"],
};

// Whether what is shown follows the server.
export function LiveSign({ state }) {
  const [tone, text] = STATES[state];
  return html`<span class="live" data-tone=${tone} role="status"><i aria-hidden="true"></i>${text}</span>`;
}

// What went wrong, in the server's words.
export function Notice({ problem, children }) {
  if (!problem) return null;
  return html`<div class="notice" role="alert">
    <strong>${sentence(problem.title)}</strong>
    <p>${sentence(problem.detail)}${children}</p>
  </div>`;
}

// Said to those who listen to the page, at most every few seconds, the newest text alone.
export function Spoken({ text }) {
  const [said, setSaid] = useState("");
  const newest = useRef("");
  newest.current = text;
  useEffect(() => {
    if (text === said) return undefined;
    const timer = setTimeout(() => setSaid(newest.current), SPOKEN_MS);
    return () => clearTimeout(timer);
  }, [text !== said]);
  return html`<p class="unseen" role="status" aria-live="polite">${said}</p>`;
}
const SPOKEN_MS = 1_500;

// The time now in a zone, drawn anew each second: its digits as flaps.
export function Clock({ zone, label }) {
  const [now, setNow] = useState(() => new Date());
  useEffect(() => {
    let timer;
    const tick = () => {
      setNow(new Date());
      timer = setTimeout(tick, 1_000 - (Date.now() % 1_000));
    };
    tick();
    return () => clearTimeout(timer);
  }, []);
  const text = new Intl.DateTimeFormat("en-GB", { timeZone: zone, timeStyle: "medium" }).format(now);
  return html`<div class="clock" role="timer" aria-label=${`${text.slice(0, 5)} ${label}`}>
    <span class="flaps" aria-hidden="true"><${Flaps} text=${text.slice(0, 5)} /><small>${text.slice(6)}</small></span>
    <span class="clock-label" aria-hidden="true">${label}</span>
  </div>`;
}

// Text as on a split-flap display: a flap a character, which turns when its character changes.
export function Flaps({ text }) {
  return [...text].map((character, place) =>
    character === ":" || character === " "
      ? html`<b class="flap-gap" key=${place}>${character}</b>`
      : html`<b class="flap" key=${place}><i key=${character}>${character}</i></b>`,
  );
}

// A part of a whole as a bar. `label` says what it shows, for those who do not see it.
export function Bar({ value, most, label, tone = "plain" }) {
  const share = most > 0 ? Math.min(1, Math.max(0, value / most)) : 0;
  return html`<svg class="bar" data-tone=${tone} viewBox="0 0 100 6" preserveAspectRatio="none" role="img" aria-label=${label}>
    <rect class="bar-ground" width="100" height="6" />
    <rect class="bar-value" width=${(share * 100).toFixed(2)} height="6" />
  </svg>`;
}

// The last values as a line over its area, the newest at the right end. `values` may hold null where none is known.
export function Sparkline({ values, label, length = values.length }) {
  const most = Math.max(1e-9, ...values.map((value) => value ?? 0));
  const from = length - values.length;
  const points = values
    .map((value, place) => (value === null ? null : [((from + place) / Math.max(1, length - 1)) * 100, 29 - (value / most) * 26]))
    .filter((point) => point !== null);
  const line = points.map(([x, y]) => `${x.toFixed(2)},${y.toFixed(2)}`).join(" ");
  return html`<svg class="sparkline" viewBox="0 0 100 30" preserveAspectRatio="none" role="img" aria-label=${label}>
    ${points.length > 1 &&
    html`<polygon points=${`${points[0][0].toFixed(2)},30 ${line} ${points.at(-1)[0].toFixed(2)},30`} />
      <polyline points=${line} />`}
  </svg>`;
}

export function sentence(text = "") {
  const whole = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?:]$/.test(whole) ? whole : `${whole}.`;
}
