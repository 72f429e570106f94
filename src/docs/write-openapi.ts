import { writeFileSync } from 'node:fs';
import { openApiDocument } from './openapi/document.ts';
import { openApiText } from './openapi/file.ts';
import { pythonClient } from './python/client.ts';

/** Writes openapi.json, and the Python client that is made of it, into the current folder: `npm run openapi`. */
const document = await openApiDocument();
writeFileSync('openapi.json', openApiText(document));
writeFileSync('clients/python/vfio_host/_operations.py', pythonClient(document));
