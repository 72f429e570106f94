import { openApiDocument } from './document.ts';
import type { Json } from './json.ts';

/** Text of `openapi.json`, which a service serves as it is. */
export async function openApiFile(): Promise<string> {
  return openApiText(await openApiDocument());
}

/** A document as its file has it. */
export function openApiText(document: Json): string {
  return `${JSON.stringify(document, null, 1)}\n`;
}
