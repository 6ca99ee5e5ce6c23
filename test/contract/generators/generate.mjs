/** Makes a client by @hey-api/openapi-ts; runs beside its packages. Arguments: the document and the directory for the client. */
import { createClient } from '@hey-api/openapi-ts';

const [input, output] = process.argv.slice(2);
await createClient({
  input,
  output,
  plugins: ['@hey-api/client-fetch', '@hey-api/typescript', '@hey-api/sdk'],
});
