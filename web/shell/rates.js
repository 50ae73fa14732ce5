// Rates out of totals: what two answers of /operations say happened between them. Nothing here draws.

const KEPT = 150;

// Adds an answer to those before (newest last) and drops the oldest; one that is no newer than the last is not added.
export function kept(answers, answer) {
  const newest = answers.at(-1);
  if (newest && Date.parse(answer.time) <= Date.parse(newest.time)) return answers;
  return [...answers, answer].slice(-KEPT);
}

// The rate a second of a total between each two neighbours; null where one of both does not know it. A total that fell
// belongs to something made anew, and counts from nothing. `total`: (answer) => number or null.
export function rates(answers, total) {
  return answers.slice(1).map((answer, place) => {
    const before = answers[place];
    const [from, to] = [total(before), total(answer)];
    const seconds = (Date.parse(answer.time) - Date.parse(before.time)) / 1_000;
    return from == null || to == null || seconds <= 0 ? null : Math.max(0, to < from ? to : to - from) / seconds;
  });
}

export const domainTotal = (name, field) => (answer) => answer.domains?.find((domain) => domain.name === name)?.[field] ?? null;

// Events that a projection folded, in all partitions or in one; their offsets where it does not count events.
export function foldedTotal(projection, partition = null) {
  return (answer) => {
    const found = answer.projections?.find(({ name }) => name === projection)?.partitions ?? [];
    const counted = found.filter((each) => partition === null || (each.topic === partition.topic && each.partition === partition.partition));
    return counted.length ? counted.reduce((sum, { events, offset }) => sum + (events ?? offset ?? 0), 0) : null;
  };
}

export function shownRate(rate) {
  if (rate == null) return "–";
  return rate >= 100 || rate === 0 ? Math.round(rate).toLocaleString("en") : rate.toFixed(1);
}
