import { mkdirSync, writeFileSync } from 'node:fs';
import { reachabilityPage, SECTIONS, searchSection, tracesFile } from '../explore/reachability.ts';
import { KERNEL_VERSIONS } from '../kernel/generations/index.ts';

mkdirSync('examples/reachability', { recursive: true });
const results = SECTIONS.map((section) => {
  const reached = KERNEL_VERSIONS.flatMap((kernel) => searchSection(section, kernel));
  writeFileSync(tracesFile(section), reached.map(({ trace }) => `${JSON.stringify(trace)}\n`).join(''));
  console.log(`${section.id}: ${reached.length} findings`);
  return [section, reached] as const;
});
writeFileSync('docs/reachability.md', reachabilityPage(results));
