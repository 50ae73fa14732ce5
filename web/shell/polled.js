// An answer that is asked for again and again while the page is seen.

import { json } from "./api.js";
import { useEffect, useState } from "./preact.js";

// { answer (null at first), problem (of the last try, or null) }
export function usePolled(path, everyMs) {
  const [seen, setSeen] = useState({ path, answer: null, problem: null });
  useEffect(() => {
    const ended = new AbortController();
    let timer;
    async function ask() {
      clearTimeout(timer);
      if (document.hidden) return;
      try {
        const answer = await json(path, { signal: ended.signal });
        setSeen({ path, answer, problem: null });
      } catch (problem) {
        if (ended.signal.aborted) return;
        setSeen((before) => ({ path, answer: before.path === path ? before.answer : null, problem }));
      }
      // It may have been asked twice meanwhile, by the page being seen again.
      clearTimeout(timer);
      timer = setTimeout(ask, everyMs);
    }
    ask();
    document.addEventListener("visibilitychange", ask);
    return () => {
      ended.abort();
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", ask);
    };
  }, [path, everyMs]);
  return seen.path === path ? seen : { answer: null, problem: null };
}
