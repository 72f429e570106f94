/** One sample of Prometheus text. */
export interface Sample {
  name: string;
  labels: Record<string, string>;
  value: number;
}

/** Prometheus text as samples, and the type of each metric; throws at a line that is neither. */
export function parseExposition(text: string): { samples: Sample[]; types: Record<string, string> } {
  const samples: Sample[] = [];
  const types: Record<string, string> = {};
  for (const line of text.split('\n')) {
    if (line === '' || line.startsWith('# HELP ')) continue;
    const type = /^# TYPE (\S+) (counter|gauge|histogram|summary)$/.exec(line);
    const sample = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/.exec(line);
    if (type) types[type[1]!] = type[2]!;
    else if (sample)
      samples.push({ name: sample[1]!, labels: labelsOf(sample[2]), value: Number(sample[3]) });
    else throw new Error(`not a line of Prometheus text: ${line}`);
  }
  return { samples, types };
}

function labelsOf(text = ''): Record<string, string> {
  return Object.fromEntries([...text.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map(([, k, v]) => [k, v]));
}
