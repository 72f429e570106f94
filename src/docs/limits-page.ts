import { limitRows } from '../config.ts';

const HEAD = `# Limits

Everything is bounded in number, bytes and time. Each limit is a setting: a flag of \`vfio-host serve\`, or its environment
variable. What a client meets at a limit is answered in words, by RFC 9457 problems, and nothing has changed then.

| limit | flag | variable | default | unit | what is answered |
|---|---|---|---|---|---|
`;

const TAIL = `
Bodies longer than 256 KiB are parsed and checked in turns of some milliseconds, as replays, comparisons, snapshots and
long operations of the kernel are done: others are answered in between. Objects and arrays of JSON may lie 100 deep in
each other, and no text in a long body is longer than 16 MiB in base64. A message repeats at most 2,000 characters.

In a container of less than 1 GiB of memory the image sets some of them lower, and Node's heap with them, for 256 MB
(\`docker/entrypoint.sh\` has the limits, SECURITY.md what \`npm run memory\` has measured with them); what is set by hand stays.
`;

/** docs/limits.md. */
export function limitsPage(): string {
  const rows = limitRows().map(
    ({ help, flag, variable, value, unit, answer }) =>
      `| ${help} | \`--${flag}\` | \`${variable}\` | ${value} | ${unit} | ${answer} |\n`,
  );
  return `${HEAD}${rows.join('')}${TAIL}`;
}
