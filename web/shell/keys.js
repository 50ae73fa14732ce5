// Shortcuts of single keys. Each has a label, which the help shows while it is there; a person can switch them all off.

import { useEffect } from "./preact.js";

const OFF = "eventfold.shortcuts";
const known = new Map();

export const shortcuts = () => [...known].map(([key, { label }]) => ({ key, label }));
export const shortcutsOn = () => localStorage.getItem(OFF) !== "off";
export const switchShortcuts = (on) => (on ? localStorage.removeItem(OFF) : localStorage.setItem(OFF, "off"));

// While the component is there that says so: [{ key, label, act }].
export function useKeys(keys) {
  useEffect(() => {
    for (const { key, ...what } of keys) known.set(key, what);
    return () => keys.forEach(({ key }) => known.delete(key));
  });
}

addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || !shortcutsOn()) return;
  // Who writes into a field, or answers a dialog, means what they type.
  if (event.target.closest?.("input, textarea, select, dialog[open], [contenteditable]")) return;
  const found = known.get(event.key);
  if (!found) return;
  event.preventDefault();
  found.act();
});
