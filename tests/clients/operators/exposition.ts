/** What a herald shows to Prometheus at `/metrics`. */

export interface Exposition {
  /** The families by the names under which operators know them: a counter ends with `_total`. Only those with series. */
  families: Set<string>;
  /** The labels of each series, by its name. */
  samples: Map<string, Record<string, string>[]>;
}

export function read(text: string): Exposition {
  const families = new Set<string>();
  const samples: Exposition['samples'] = new Map();
  for (const line of text.split('\n')) {
    const [, family, kind] = /^# TYPE (\w+) (\w+)$/.exec(line) ?? [];
    if (family) families.add(family + ({ counter: '_total', info: '_info' }[kind!] ?? ''));
    const [, name, inner] = /^(\w+)(?:\{(.*)\})? \S+$/.exec(line) ?? [];
    if (!name) continue;
    const labels = [...(inner ?? '').matchAll(/(\w+)="([^"]*)"/g)].map(([, label, value]) => [label, value]);
    samples.set(name, [...(samples.get(name) ?? []), Object.fromEntries(labels)]);
  }
  return { families, samples };
}

/** The metrics that the table of docs/operations.md explains, with their labels. */
export function documented(page: string): Map<string, string[]> {
  const cells = [...page.matchAll(/^\| (`(?:herald|process)_[^|]*) \|/gm)].map(([, cell]) => cell!);
  const names = cells.flatMap((cell) => [...cell.matchAll(/`(\w+)(?:\{([\w, ]+)\})?`/g)]);
  return new Map(names.map(([, name, labels]) => [name!, labels?.split(/, */) ?? []]));
}
