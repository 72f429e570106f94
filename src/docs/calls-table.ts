import { containerCalls } from '../../schemas/calls/container.ts';
import { conveniences } from '../../schemas/calls/conveniences.ts';
import { deviceCalls } from '../../schemas/calls/device.ts';
import { driverCalls } from '../../schemas/calls/driver.ts';
import { hostCalls } from '../../schemas/calls/host.ts';
import { processCalls } from '../../schemas/calls/process.ts';
import { type CallName, callEntry, restOf } from '../../schemas/calls.ts';

const GROUPS: readonly [title: string, calls: object][] = [
  ['process `POST /v1/processes/{process}/…`', processCalls],
  ['container `POST /v1/containers/{container}/…`', { ...containerCalls, ...conveniences }],
  ['device `POST /v1/devices/{device}/…`', deviceCalls],
  ['driver models, on a device', driverCalls],
  ['host', hostCalls],
];

const START = '<!-- the calls: written by npm run docs -->';
const END = '<!-- the end of the calls -->';

/** README.md with the table of the calls as they are. */
export function withCallsTable(readme: string): string {
  const [before, rest] = readme.split(START);
  const after = rest?.split(END)[1];
  if (before === undefined || after === undefined) throw new Error(`README.md has no ${START} … ${END}`);
  const rows = GROUPS.map(([title, calls]) => `| ${title} | ${Object.keys(calls).map(cell).join(', ')} |`);
  return [before + START, '| on | calls |', '|---|---|', ...rows, END + after].join('\n');
}

function cell(name: string): string {
  const { rest, of } = callEntry(name as CallName);
  const { method, url } = restOf(name as CallName);
  const path = url.replace(/:(\w+)/, '{$1}');
  if (rest && path !== `/v1/${name}`) return `\`${name}\` (\`${method} ${path}\`)`;
  return of ? `\`${name}\` (${of.map((part) => `\`${part}\``).join(', ')})` : `\`${name}\``;
}
