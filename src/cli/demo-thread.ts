import { paintFor } from './paint.ts';

/** An answer of the service, as far as it is shown. */
interface Answer {
  readonly status: number;
  readonly body: {
    readonly errno?: string;
    readonly title?: string;
    readonly invalidations?: readonly { device: string; iova: string; length: string }[];
    readonly advisories?: readonly { kind: string; text: string; count: number }[];
    readonly splat?: { kind: string; condition?: string; function?: string; file?: string; line?: number };
    readonly size?: string;
  };
}

/** A request of the thread, what is said before it, and what its answer means. */
interface Step {
  readonly why: string;
  readonly path: string;
  readonly body: object;
  readonly means: string | ((answer: Answer) => string);
}

const READ_WRITE = ['read', 'write'];
const RANGE = { iova: '0x10000', size: '0x10000' };
/** Memory of each container: what two of them map is charged twice, and that is another story. */
const VADDR: Readonly<Record<string, string>> = { c0: '0x7f0000000000', c1: '0x7f0000200000' };

/** A container with one device whose driver answers an unmap so, 64 KiB mapped and a page in the middle pinned. */
function setting(container: string, device: string, onDmaUnmap: string, why: string): Step[] {
  return [
    {
      why: 'A VMM opens /dev/vfio/vfio: a container, which will have one IOVA space.',
      path: '/v1/containers',
      body: { container },
      means: 'It is empty as yet, and has no IOMMU.',
    },
    {
      why,
      path: '/v1/devices',
      body: { device, driver: { type: 'synthetic', onDmaUnmap } },
      means: 'Nobody uses it yet.',
    },
    {
      why: 'The VMM puts the device into the container and opens it.',
      path: `/v1/containers/${container}/attach`,
      body: { device },
      means: 'Now the device shares the IOVA space of the container.',
    },
    {
      why: 'It maps 64 KiB of guest memory, at IOVA 0x10000.',
      path: `/v1/containers/${container}/map-dma`,
      body: { iova: '0x10000', vaddr: VADDR[container], size: '0x10000', flags: READ_WRITE },
      means: 'The device may reach that memory, and its driver may pin pages of it.',
    },
    {
      why: 'The driver pins one page, not the first: 0x15000.',
      path: `/v1/devices/${device}/pin-pages`,
      body: { iova: '0x15000', npage: 1, prot: READ_WRITE },
      means: 'The page stays where it is until the driver unpins it.',
    },
  ];
}

function unmap(container: string, why: string, means: (answer: Answer) => string): Step {
  return { why, path: `/v1/containers/${container}/unmap-dma`, body: RANGE, means };
}

const WRONG: Step[] = [
  ...setting(
    'c0',
    'ccw',
    'unpin-first-page',
    'A mediated device whose driver looks only at the first address of what is unmapped, as drivers of 2022 did.',
  ),
  unmap(
    'c0',
    'The VMM takes the mapping away. The kernel calls the driver with the whole range until no page is pinned any more.',
    ({ body: { invalidations = [], splat } }) =>
      `The driver unpinned 0x10000 each time, and never 0x15000. After ${invalidations.length} calls the kernel gives up${splat ? `: ${splat.kind}` : ''}.`,
  ),
  {
    why: 'What becomes of the next call on that container?',
    path: '/v1/containers/c0/map-dma',
    body: { iova: '0x40000', vaddr: '0x7f0000100000', size: '0x1000', flags: ['read'] },
    means: ({ status }) =>
      status === 423
        ? 'The task is dead and still holds the lock of the container. A real call would hang; here it is answered 423.'
        : 'The container goes on.',
  },
];

const RIGHT: Step[] = [
  ...setting('c1', 'fixed', 'unpin-range', 'The driver now unpins whatever it holds within the range.'),
  unmap(
    'c1',
    'The VMM takes the mapping away.',
    () => 'One call, and the page was given back: that is all there is to it.',
  ),
];

/**
 * Makes the requests of the thread and explains them.
 *
 * @param url of a fresh service
 */
export async function playThread(url: string, kernel: string, out: (line: string) => void): Promise<void> {
  out(bold(`July 2022: a driver that looks only at the first page (Linux ${kernel})`));
  for (const [at, step] of WRONG.entries()) await play(url, `${at + 1}.`, step, out);
  out('');
  out(bold('The console of that kernel'));
  const dmesg = await (await fetch(`${url}/v1/dmesg`)).text();
  for (const line of dmesg.trimEnd().split('\n').slice(0, CONSOLE_LINES)) out(dim(`   ${line}`));
  out('');
  out(bold('The same with a driver that does it right'));
  for (const [at, step] of RIGHT.entries()) await play(url, `${WRONG.length + at + 1}.`, step, out);
  out('');
  out(`All of it, live: ${bold(`${url}/`)} (Ctrl-C ends)`);
}

/** Lines of the console that are shown: those that say what happened. */
const CONSOLE_LINES = 6;

async function play(
  url: string,
  number: string,
  { why, path, body, means }: Step,
  out: (line: string) => void,
): Promise<void> {
  out('');
  out(`${bold(number)} ${why}`);
  out(
    dim(`   $ curl -X POST ${url}${path} -H 'content-type: application/json' -d '${JSON.stringify(body)}'`),
  );
  const response = await fetch(`${url}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  const text = await response.text();
  const answer = { status: response.status, body: text === '' ? {} : JSON.parse(text) };
  for (const line of answerLines(answer)) out(`   ${line}`);
  out(`   ${typeof means === 'string' ? means : means(answer)}`);
}

/** What an answer says, as far as it matters here. */
function answerLines({ status, body }: Answer): string[] {
  const { errno, title, invalidations = [], advisories = [], splat, size } = body;
  const outcome = status < 300 ? paint('green', `${status} ok`) : paint('red', `${status} ${errno ?? title}`);
  const lines = [size === undefined || status >= 300 ? outcome : `${outcome}, size ${size}`];
  const [first] = invalidations;
  if (first) {
    const times = invalidations.length === 1 ? 'once' : `${invalidations.length} times`;
    lines.push(`${first.device} was called back ${times}, with ${first.iova} + ${first.length}`);
  }
  if (splat)
    lines.push(
      paint('red', `${splat.kind}(${splat.condition}) in ${splat.function}(), ${splat.file}:${splat.line}`),
    );
  for (const { kind, text, count } of advisories) {
    lines.push(paint('yellow', `${kind}${count > 1 ? ` ×${count}` : ''}: ${text}`));
  }
  return lines;
}

const paint = paintFor(process.stdout);
const bold = (text: string) => paint('bold', text);
const dim = (text: string) => paint('gray', text);
