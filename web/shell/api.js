// Requests to the server that served the page. Whatever goes wrong is a Problem: what the server said (RFC 9457), or that it
// said nothing. An access token is asked for when one is needed, and kept for this tab alone.

const KEPT = "eventfold.token";
let asking = null;
// Who gave none is not asked by each request that comes after, but by the next view.
let declined = false;
addEventListener("hashchange", () => (declined = false));
let ask = async () => null;

export class Problem extends Error {
  constructor({ status, title, detail }) {
    super(detail);
    Object.assign(this, { status, title, detail });
  }

  // Whether the same request may be answered later.
  get passes() {
    return this.status === 0 || this.status === 408 || this.status === 429 || this.status >= 500;
  }
}

// `asker`: () => Promise of a token, or of null when the person gives none.
export function askForTokensWith(asker) {
  ask = asker;
}

export const hasToken = () => sessionStorage.getItem(KEPT) !== null;
export const forgetToken = () => sessionStorage.removeItem(KEPT);

// A response that is a success; a Problem for any other, but an AbortError when `signal` ended it.
export async function request(path, { headers = {}, signal, ...more } = {}) {
  const token = sessionStorage.getItem(KEPT);
  const authorization = token === null ? {} : { Authorization: `Bearer ${token}` };
  let response;
  try {
    response = await fetch(path, { ...more, signal, headers: { ...authorization, ...headers }, credentials: "omit" });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Problem({ status: 0, title: "no connection", detail: "The server does not answer." });
  }
  if (response.ok) return response;
  const problem = await problemOf(response);
  // Another request may have been given a new token meanwhile.
  if (problem.status === 401 && (sessionStorage.getItem(KEPT) !== token || (await newToken(problem.detail)))) {
    return request(path, { headers, signal, ...more });
  }
  throw problem;
}

export async function json(path, options) {
  return (await request(path, options)).json();
}

// All rows that a query answers with, over all of its pages: of a list, of `entries`, or the one that it is.
export async function rowsOf(path, options) {
  const rows = [];
  for (let next = ""; next !== null; ) {
    const answer = await json(next ? `${path}${path.includes("?") ? "&" : "?"}page=${encodeURIComponent(next)}` : path, options);
    const paged = !Array.isArray(answer) && Array.isArray(answer.entries);
    rows.push(...(paged ? answer.entries : [answer].flat()));
    next = (paged && answer.next) || null;
  }
  return rows;
}

// One dialog for all requests that wait for a token.
async function newToken(why) {
  if (declined) return false;
  asking ??= ask(why).finally(() => (asking = null));
  const token = await asking;
  declined = !token;
  if (token) sessionStorage.setItem(KEPT, token);
  return Boolean(token);
}

async function problemOf(response) {
  let body = {};
  try {
    body = await response.json();
  } catch {
    // No JSON: something between this page and the server answered.
  }
  const title = body.title ?? (response.statusText || `HTTP ${response.status}`);
  return new Problem({ status: response.status, title, detail: body.detail ?? title });
}
