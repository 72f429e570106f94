/** An answer as it stands on a connection. */
export interface RawAnswer {
  readonly status: number;
  readonly head: string;
  readonly body: string;
  /** Whether its end is there. */
  readonly isWhole: boolean;
}

/**
 * The answers on a connection, which may have been cut anywhere.
 *
 * @throws Error at the first byte that HTTP/1.1 does not have there
 */
export function rawAnswers(bytes: Buffer): RawAnswer[] {
  const answers: RawAnswer[] = [];
  for (let at = 0; at < bytes.length; ) {
    const end = bytes.indexOf('\r\n\r\n', at);
    if (end < 0) throw new Error(`no head of an answer: ${shown(bytes, at)}`);
    const head = bytes.toString('latin1', at, end);
    const status = /^HTTP\/1\.1 (\d{3}) [^\r\n]+(?:\r\n[^\r\n:]+: [^\r\n]*)*$/.exec(head);
    if (!status) throw new Error(`not the head of an answer: ${shown(bytes, at)}`);
    const { body, next, isWhole } = /\r\ntransfer-encoding: chunked(\r\n|$)/i.test(head)
      ? chunked(bytes, end + 4)
      : counted(bytes, end + 4, Number(/\r\ncontent-length: (\d+)(?:\r\n|$)/i.exec(head)?.[1] ?? 0));
    answers.push({ status: Number(status[1]), head, body, isWhole });
    at = next;
  }
  return answers;
}

interface Body {
  readonly body: string;
  readonly next: number;
  readonly isWhole: boolean;
}

function counted(bytes: Buffer, from: number, length: number): Body {
  const next = Math.min(from + length, bytes.length);
  return { body: bytes.toString('utf8', from, next), next, isWhole: next === from + length };
}

function chunked(bytes: Buffer, from: number): Body {
  const parts: Buffer[] = [];
  const made = (next: number, isWhole: boolean) => ({ body: Buffer.concat(parts).toString(), next, isWhole });
  for (let at = from; ; ) {
    const line = bytes.indexOf('\r\n', at);
    const size = bytes.toString('latin1', at, line < 0 ? Math.min(bytes.length, at + 20) : line);
    if (line < 0 && /^[0-9a-f]{0,8}\r?$/.test(size)) return made(bytes.length, false);
    if (!/^[0-9a-f]{1,8}$/.test(size)) throw new Error(`not the size of a chunk: ${shown(bytes, at)}`);
    const data = line + 2;
    const end = data + Number.parseInt(size, 16);
    parts.push(bytes.subarray(data, end));
    if (end + 2 > bytes.length) return made(bytes.length, false);
    if (bytes.toString('latin1', end, end + 2) !== '\r\n') {
      throw new Error(`a chunk of ${size} does not end there: ${shown(bytes, end)}`);
    }
    if (end === data) return made(end + 2, true);
    at = end + 2;
  }
}

function shown(bytes: Buffer, at: number): string {
  return `byte ${at}: ${JSON.stringify(bytes.toString('latin1', Math.max(0, at - 40), at))} then ${JSON.stringify(bytes.toString('latin1', at, at + 80))}`;
}
