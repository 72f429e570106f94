import { pino } from 'pino';
import { buildApp } from '../app.ts';
import { DEFAULT_CONFIG } from '../config.ts';
import { Service } from '../service.ts';

/** Text of `openapi.json`: what a service serves as /openapi.json. */
export async function openApiFile(): Promise<string> {
  const log = pino({ level: 'silent' });
  const app = await buildApp(new Service(DEFAULT_CONFIG, { log, panic() {} }), log);
  const response = await app.inject('/openapi.json');
  await app.close();
  return `${JSON.stringify(response.json(), null, 2)}\n`;
}
