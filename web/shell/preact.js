// What views are written with: Preact, its hooks, and htm in place of JSX. A domain's own pages import it from
// "/assets/preact.js", so that there is one Preact in the page.
import { h } from "./vendor/preact.mjs";
import htm from "./vendor/htm.mjs";

export { Fragment, h, render } from "./vendor/preact.mjs";
export { useCallback, useEffect, useErrorBoundary, useId, useMemo, useRef, useState } from "./vendor/hooks.mjs";
export const html = htm.bind(h);
