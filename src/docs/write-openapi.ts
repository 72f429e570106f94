import { writeFileSync } from 'node:fs';
import { openApiFile } from './openapi/file.ts';

/** Writes openapi.json into the current folder: `npm run openapi`. */
writeFileSync('openapi.json', await openApiFile());
