import { openApiDocument } from './document.ts';

/** Text of `openapi.json`, which a service serves as it is. */
export async function openApiFile(): Promise<string> {
  return `${JSON.stringify(await openApiDocument(), null, 1)}\n`;
}
