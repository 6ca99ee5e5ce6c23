/** `/docs`: the OpenAPI document and Swagger UI, from files of this host only. Needs no key. */
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { Hono } from 'hono';
import type { HttpEnv } from './context.ts';
import { makeDocument } from './openapi.ts';

/** What of the package is served, by the names it has there. Without a charset, browsers misread the bundle. */
const assets: Readonly<Record<string, string>> = {
  'swagger-ui.css': 'text/css; charset=utf-8',
  'swagger-ui-bundle.js': 'text/javascript; charset=utf-8',
  'favicon-32x32.png': 'image/png',
};

/** Swagger UI sets inline styles and draws its icons from data URLs; all else comes from here. */
const contentSecurityPolicy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

const page = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Flotilla API</title>
<link rel="icon" type="image/png" href="docs/assets/favicon-32x32.png">
<link rel="stylesheet" href="docs/assets/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<script src="docs/assets/swagger-ui-bundle.js"></script>
<script src="docs/assets/start.js"></script>
</body>
</html>
`;

/** Without `validatorUrl: null` the page would show the document to a validator on the internet. */
const startScript = `SwaggerUIBundle({ url: 'docs/json', dom_id: '#swagger-ui', validatorUrl: null, deepLinking: true });
`;

/** To be mounted at `/docs`, before authentication. */
export function docs(version: string): Hono<HttpEnv> {
  const app = new Hono<HttpEnv>();
  const directory = dirname(createRequire(import.meta.url).resolve('swagger-ui-dist/package.json'));
  const document = JSON.stringify(makeDocument(version));
  app.use(async (c, next) => {
    await next();
    c.header('X-Content-Type-Options', 'nosniff');
  });
  app.get('/', (c) => c.html(page, 200, { 'Content-Security-Policy': contentSecurityPolicy }));
  app.get('/json', (c) => c.body(document, 200, { 'Content-Type': 'application/json' }));
  app.get('/assets/start.js', (c) =>
    c.body(startScript, 200, { 'Content-Type': 'text/javascript; charset=utf-8' }),
  );
  for (const [name, type] of Object.entries(assets)) {
    app.get(`/assets/${name}`, async (c) => {
      const bytes = new Uint8Array(await readFile(join(directory, name)));
      return c.body(bytes, 200, { 'Content-Type': type, 'Cache-Control': 'max-age=3600' });
    });
  }
  return app;
}
