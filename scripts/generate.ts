/** Writes what is generated from the code and committed: openapi/machines.json. Run it after a change to a dialect. */
import { mkdir, writeFile } from 'node:fs/promises';
import { makeDocument } from '../src/http/openapi.ts';
import { version } from '../src/main/version.ts';

const directory = new URL('../openapi/', import.meta.url);
await mkdir(directory, { recursive: true });
await writeFile(new URL('machines.json', directory), `${JSON.stringify(makeDocument(version), null, 2)}\n`);
