// Server-sent events by fetch, which unlike EventSource can send a token and says why it was refused.
//
// The stream is opened again when it ends, when the server does not answer, and when nothing came for 40 seconds (it pings
// every 15), each time later than the time before and never at once with all the other clients; `Last-Event-ID` tells the
// server what is known already. A stream ends with its token, of which its last event tells: it is opened again at once, with a
// token that the person gives (see api.js), and misses nothing.

import { Problem, request } from "./api.js";

const SILENCE_MS = 40_000;
const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 20_000;

// Follow a stream until the returned function is called. `on` has
//   state(word)             "connecting", "live", "reconnecting", "stale" (nothing was heard for too long), "refused"
//   event(kind, data, resumed)  `data` parsed; `resumed`: this stream goes on where the last one ended
//   failed(problem)         a connection did not come about or was lost
export function follow(path, on) {
  const stopped = new AbortController();
  run(path, on, stopped.signal);
  return () => stopped.abort();
}

async function run(path, on, stopped) {
  let last = "";
  let failures = 0;
  on.state("connecting");
  while (!stopped.aborted) {
    const attempt = new AbortController();
    const end = () => attempt.abort();
    stopped.addEventListener("abort", end);
    let silence;
    let state = "reconnecting";
    let expired = false;
    const heard = () => {
      clearTimeout(silence);
      silence = setTimeout(() => {
        state = "stale";
        attempt.abort();
      }, SILENCE_MS);
    };
    try {
      heard();
      const headers = { Accept: "text/event-stream", ...(last && { "Last-Event-ID": last }) };
      const response = await request(path, { headers, signal: attempt.signal, cache: "no-store" });
      const resumed = last !== "";
      for await (const { kind, data, id } of eventsOf(response.body, heard)) {
        // What was missed comes after `open`: only with that is its id reached.
        if (id !== null && !(resumed && kind === "open")) last = id;
        if (kind === null) continue;
        if (kind === "reset" && data?.reason === "token-expired") {
          expired = true;
          break;
        }
        if (kind === "open") {
          failures = 0;
          on.state("live");
        }
        on.event(kind, data, resumed);
      }
    } catch (error) {
      if (stopped.aborted) return;
      if (error instanceof Problem) {
        on.failed(error);
        if (!error.passes) {
          on.state("refused");
          return;
        }
      }
    } finally {
      clearTimeout(silence);
      stopped.removeEventListener("abort", end);
    }
    if (stopped.aborted) return;
    on.state(state);
    if (expired) continue;
    failures += 1;
    await pause(Math.min(FIRST_WAIT_MS * 2 ** (failures - 1), LONGEST_WAIT_MS) * (0.5 + Math.random()), stopped);
  }
}

// Events as the HTML standard parses them; one without data, which only moves the id, has the kind null.
export async function* eventsOf(body, heard) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  let event = { kind: "message", data: [], id: null };
  try {
    while (true) {
      const { value, done } = await reader.read();
      if (done) return;
      heard();
      // A carriage return at the end may be half of a line's end.
      const lines = (rest + value).split(/\r\n|\n|\r(?!$)/);
      rest = lines.pop();
      for (const line of lines) {
        if (line === "") {
          if (event.data.length) yield { kind: event.kind, data: parsed(event.data.join("\n")), id: event.id };
          else if (event.id !== null) yield { kind: null, data: null, id: event.id };
          event = { kind: "message", data: [], id: null };
          continue;
        }
        const colon = line.indexOf(":");
        const field = colon < 0 ? line : line.slice(0, colon);
        const text = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
        if (field === "event") event.kind = text;
        else if (field === "data") event.data.push(text);
        else if (field === "id") event.id = text;
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

// Ends early when the network comes back, which the browser tells.
function pause(ms, stopped) {
  return new Promise((done) => {
    const end = () => {
      clearTimeout(timer);
      removeEventListener("online", end);
      stopped.removeEventListener("abort", end);
      done();
    };
    const timer = setTimeout(end, ms);
    addEventListener("online", end);
    stopped.addEventListener("abort", end);
  });
}
