// The frame of the page: its head, its addresses, the pages that the domains bring along, and what belongs to no view.
//
// A domain brings pages by the entry-point group `eventfold.pages`: a package with a `page.js`, served under
// /pages/<domain>/. That module's default export is
//   {
//     title: "Flights",
//     styles: ["flights.css"],          // optional; relative to the module
//     views: [{
//       path: "board",                  // its address is #/<domain>/board, followed by any arguments: #/<domain>/board/JFK
//       title: "Departures",            // in the menu, which has the views that have `menu: true`
//       menu: true,
//       component: Board,               // of Preact; its props: args (the address's arguments, decoded), address(path, ...args)
//     }],                               //   (an address of a view of this domain), and setTitle(text) for the window's title
//   }
// What a view is made with is at /assets/: preact.js (html and hooks), api.js, rows.js (rows that follow the server),
// polled.js, keys.js (shortcuts), parts.js, and the classes and colours of shell.css. Text goes into the page as Preact's
// text nodes alone; the server's Content-Security-Policy lets nothing else in.

import { askForTokensWith, forgetToken, hasToken, json } from "./api.js";
import { shortcuts, shortcutsOn, switchShortcuts, useKeys } from "./keys.js";
import { Operations } from "./operations.js";
import { Notice, sentence } from "./parts.js";
import { Fragment, html, render, useCallback, useEffect, useErrorBoundary, useRef, useState } from "./preact.js";

const OWN = { path: "operations", title: "Operations", component: Operations, menu: true };
const THEMES = { "": "Auto", light: "Light", dark: "Dark" };

function Shell() {
  const [pages, setPages] = useState(null);
  const route = useRoute();
  useEffect(() => {
    loadPages().then(setPages);
  }, []);
  const menu = [...(pages?.views ?? []), { ...OWN, address: "#/operations" }].filter((view) => view.menu);
  const main = useRef();
  const found = viewOf(route, pages);
  const at = found?.address;
  useEffect(() => {
    if (pages && !found && menu.length) location.replace(menu[0].address);
  }, [pages, route.join("/")]);
  // Another view is another page: who reads or types goes on at its beginning.
  const before = useRef(at);
  useEffect(() => {
    if (before.current && at && before.current !== at) main.current.focus();
    before.current = at ?? before.current;
  }, [at]);
  useKeys(
    menu.slice(0, 9).map((view, place) => ({ key: String(place + 1), label: view.title, act: () => (location.hash = view.address) })),
  );
  return html`<${Fragment}>
    <a class="skip" href="#main" onClick=${(event) => (event.preventDefault(), main.current.focus())}>Skip to the content</a>
    <header class="head">
      <a class="brand" href=${menu[0].address}><img src="/assets/icon.svg" alt="" width="26" height="26" />eventfold</a>
      <nav aria-label="Views">
        ${menu.map((view) => html`<a key=${view.address} href=${view.address} aria-current=${view.address === at ? "page" : null}>${view.title}</a>`)}
      </nav>
      <${Tools} />
    </header>
    <main id="main" tabindex="-1" ref=${main}>
      ${(pages?.problems ?? []).map((problem) => html`<${Notice} key=${problem.detail} problem=${problem} />`)}
      ${found && html`<${View} key=${at} found=${found} />`}
    </main>
    <${TokenDialog} />
  <//>`;
}

// One view; when it fails, the rest of the page stays.
function View({ found }) {
  const [error] = useErrorBoundary();
  const { component: Component, title, args, domain } = found;
  const setTitle = useCallback((text) => {
    document.title = `${text} · eventfold`;
  }, []);
  useEffect(() => setTitle(title), [title]);
  const address = useCallback((path, ...more) => `#/${[domain, path, ...more].filter((part) => part !== null).map(encodeURIComponent).join("/")}`, [domain]);
  if (error) return html`<${Notice} problem=${{ title: "This view failed", detail: String(error.message ?? error) }} />`;
  return html`<${Component} args=${args} address=${address} setTitle=${setTitle} />`;
}

function Tools() {
  const [theme, setTheme] = useState(document.documentElement.dataset.theme ?? "");
  const [token, setToken] = useState(hasToken());
  const [on, setOn] = useState(shortcutsOn());
  const [listed, setListed] = useState([]);
  const help = useRef();
  useEffect(() => {
    const look = () => setToken(hasToken());
    addEventListener("eventfold-token", look);
    return () => removeEventListener("eventfold-token", look);
  }, []);
  function next() {
    const names = Object.keys(THEMES);
    const chosen = names[(names.indexOf(theme) + 1) % names.length];
    if (chosen) {
      document.documentElement.dataset.theme = chosen;
      localStorage.setItem("eventfold.theme", chosen);
    } else {
      delete document.documentElement.dataset.theme;
      localStorage.removeItem("eventfold.theme");
    }
    setTheme(chosen);
  }
  function open() {
    setListed(shortcuts());
    help.current.showModal();
  }
  useKeys([
    { key: "t", label: "Light, dark, or as the system has it", act: next },
    { key: "?", label: "These shortcuts", act: open },
  ]);
  return html`<div class="tools">
    ${token && html`<button type="button" onClick=${() => (forgetToken(), location.reload())}>Forget token</button>`}
    <button type="button" onClick=${next} aria-label=${`Colours: ${THEMES[theme]}`}>
      <span class="moon" aria-hidden="true"></span><span class="wide">${THEMES[theme]}</span>
    </button>
    <button type="button" onClick=${open} aria-label="Keyboard shortcuts" class="wide"><kbd aria-hidden="true">?</kbd></button>
    <dialog ref=${help} aria-labelledby="help-title">
      <form method="dialog">
        <h2 id="help-title">Keyboard</h2>
        <dl class="keys">${listed.map(({ key, label }) => html`<div key=${key}><dt><kbd>${key}</kbd></dt><dd>${label}</dd></div>`)}</dl>
        <label class="check"><input type="checkbox" checked=${on} onChange=${(event) => (switchShortcuts(event.target.checked), setOn(event.target.checked))} /> Shortcuts of single keys</label>
        <p class="actions"><button class="main">Close</button></p>
      </form>
    </dialog>
  </div>`;
}

// Asks for an access token when the server wants one.
function TokenDialog() {
  const dialog = useRef();
  const field = useRef();
  const done = useRef(() => {});
  const [why, setWhy] = useState("");
  useEffect(() => {
    askForTokensWith((detail) => {
      setWhy(detail);
      dialog.current.showModal();
      return new Promise((resolve) => (done.current = resolve));
    });
  }, []);
  function closed() {
    const token = dialog.current.returnValue === "give" ? field.current.value.replace(/^Bearer\s+/i, "").trim() : "";
    field.current.value = "";
    dialog.current.returnValue = "";
    done.current(token || null);
    queueMicrotask(() => dispatchEvent(new Event("eventfold-token")));
  }
  return html`<dialog ref=${dialog} onClose=${closed} aria-labelledby="token-title">
    <form method="dialog">
      <h2 id="token-title">Access token</h2>
      <p>${sentence(why)}</p>
      <label class="above">Token <textarea ref=${field} rows="4" spellcheck=${false} autocomplete="off" autofocus></textarea></label>
      <p class="hint">It is kept in this tab until the tab is closed, and sent to this server alone.</p>
      <p class="actions"><button value="" formnovalidate>Cancel</button><button class="main" value="give">Use it</button></p>
    </form>
  </dialog>`;
}

function useRoute() {
  const [hash, setHash] = useState(location.hash);
  useEffect(() => {
    const look = () => setHash(location.hash);
    addEventListener("hashchange", look);
    return () => removeEventListener("hashchange", look);
  }, []);
  return hash.replace(/^#\/?/, "").split("/").filter(Boolean).map(decoded);
}

function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

function viewOf([first, second, ...args], pages) {
  if (first === OWN.path) return { ...OWN, address: "#/operations", args: [second, ...args].filter(Boolean), domain: null };
  const view = pages?.views.find(({ domain, path }) => domain === first && path === second);
  return view && { ...view, args };
}

// Every view that the installed domains bring. A domain whose pages cannot be loaded leaves the others alone.
async function loadPages() {
  const views = [];
  const problems = [];
  try {
    for (const { domain, module } of await json("/pages")) {
      try {
        const { default: page } = await import(module);
        for (const style of page.styles ?? []) await addStyle(new URL(style, new URL(module, location.href)));
        views.push(...page.views.map((view) => ({ ...view, domain, address: `#/${domain}/${view.path}` })));
      } catch (error) {
        problems.push({ title: `The pages of ${domain} cannot be loaded`, detail: String(error.message ?? error) });
      }
    }
  } catch (problem) {
    problems.push(problem);
  }
  return { views, problems };
}

function addStyle(url) {
  return new Promise((done) => {
    const link = document.createElement("link");
    Object.assign(link, { rel: "stylesheet", href: url.href, onload: done, onerror: done });
    document.head.append(link);
  });
}

render(html`<${Shell} />`, document.getElementById("page"));
