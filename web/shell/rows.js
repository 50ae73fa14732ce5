// Rows of a query that stay as they are on the server: fetched once the stream of changes is open, then changed by it.

import { rowsOf } from "./api.js";
import { follow } from "./live.js";
import { useEffect, useState } from "./preact.js";

const FRESH_MS = 4_000;
const RELOAD_MS = 1_000;
const LONGEST_WAIT_MS = 20_000;

const BEGIN = { rows: new Map(), loaded: false, state: "connecting", problem: null, fresh: new Set() };

// For a view: { rows: Map by key, loaded, state (see live.js), problem (or null), fresh: Set of keys that changed just now }.
// With `query` null there are no rows.
export function useLiveRows(query, changes, keyOf = (row) => row.id) {
  const [seen, setSeen] = useState({ query, ...BEGIN });
  useEffect(() => {
    setSeen({ query, ...BEGIN });
    if (query === null) return undefined;
    return liveRows(query, changes, keyOf, (now) => setSeen({ query, ...now }));
  }, [query, changes]);
  // The rows of the query before are not those of this one.
  return seen.query === query ? seen : BEGIN;
}

// Tells of the rows at each change, until the returned function is called.
export function liveRows(query, changes, keyOf, tell) {
  const ended = new AbortController();
  const fresh = new Map();
  let now = { rows: new Map(), loaded: false, state: "connecting", problem: null };
  let waiting = [];
  let loading = false;
  let again = false;
  let loadedAt = -Infinity;
  let waitMs = RELOAD_MS;
  let timer = null;
  let telling = false;

  // Many events of one commit are one drawing.
  function say(more) {
    now = { ...now, ...more };
    if (telling) return;
    telling = true;
    setTimeout(() => {
      telling = false;
      if (!ended.signal.aborted) tell({ ...now, fresh: new Set(fresh.keys()) });
    });
  }

  function freshen(key) {
    clearTimeout(fresh.get(key));
    fresh.set(
      key,
      setTimeout(() => {
        fresh.delete(key);
        say({});
      }, FRESH_MS),
    );
  }

  function apply(events) {
    const rows = new Map(now.rows);
    for (const { kind, data } of events) {
      if (kind === "gone") rows.delete(data.key);
      else rows.set(data.key, data.row);
      freshen(data.key);
    }
    say({ rows, problem: rows.size ? null : now.problem });
  }

  async function load() {
    loading = true;
    again = false;
    loadedAt = performance.now();
    try {
      const found = await rowsOf(query, { signal: ended.signal });
      const rows = new Map(found.map((row) => [keyOf(row), row]));
      if (now.loaded) for (const key of changedKeys(now.rows, rows)) freshen(key);
      waitMs = RELOAD_MS;
      say({ rows, loaded: true, problem: null });
    } catch (problem) {
      if (ended.signal.aborted) return;
      // One that is not there yet may come: the stream will say so.
      say({ problem, ...(problem.status === 404 && { loaded: true, rows: new Map() }) });
      if (problem.passes) {
        again = true;
        waitMs = Math.min(2 * waitMs, LONGEST_WAIT_MS);
      }
    }
    loading = false;
    const missed = waiting;
    waiting = [];
    if (missed.length) apply(missed);
    if (again) reload();
  }

  // At most once a second, however often the server says that something may have changed.
  function reload() {
    again = true;
    if (loading || timer !== null) return;
    timer = setTimeout(
      () => {
        timer = null;
        load();
      },
      Math.max(0, loadedAt + waitMs - performance.now()),
    );
  }

  const stop = follow(changes, {
    state: (state) => say({ state }),
    failed: (problem) => {
      say({ problem: now.loaded ? now.problem : problem });
      if (!now.loaded) reload();
    },
    event: (kind, data, resumed) => {
      if (kind === "reset" || (kind === "open" && !(resumed && now.loaded))) reload();
      else if (kind === "changed" || kind === "gone") loading || again ? waiting.push({ kind, data }) : apply([{ kind, data }]);
    },
  });
  return () => {
    ended.abort();
    stop();
    clearTimeout(timer);
    for (const each of fresh.values()) clearTimeout(each);
  };
}

function changedKeys(before, after) {
  const keys = [...after].filter(([key, row]) => JSON.stringify(before.get(key)) !== JSON.stringify(row)).map(([key]) => key);
  return [...keys, ...[...before.keys()].filter((key) => !after.has(key))];
}
