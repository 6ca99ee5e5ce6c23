/** `/docs`: the OpenAPI document and Swagger UI, served from local files only. Needs no key. */
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { Hono } from 'hono';
import { forEveryone } from './access.ts';
import type { HttpEnv } from './context.ts';
import type { OpenApiDocument } from './openapi.ts';

/** The package's files that are served, by name. Without a charset, browsers misread the bundle. */
const assets: Readonly<Record<string, string>> = {
  'swagger-ui.css': 'text/css; charset=utf-8',
  'swagger-ui-bundle.js': 'text/javascript; charset=utf-8',
  'favicon-32x32.png': 'image/png',
};

/** Swagger UI sets inline styles and uses data URLs for icons; everything else comes from here. */
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

/** Without `validatorUrl: null` the page would send the document to a validator on the internet. */
const startScript = `SwaggerUIBundle({ url: 'docs/json', dom_id: '#swagger-ui', validatorUrl: null, deepLinking: true });
`;

/**
 * Redirects browsers from `/` to the documentation; programs get the same answer as for any unknown route.
 */
export function frontDoor(): Hono<HttpEnv> {
  const app = new Hono<HttpEnv>();
  const { middleware: gate } = forEveryone();
  app.get('/', gate, async (c, next) => {
    const { url = '', headers } = c.env.incoming;
    // A path such as `/machines/..` also leads here; it was meant as something else.
    const isAskedFor = url === '/' || url.startsWith('/?');
    return isAskedFor && acceptsHtml(headers.accept) ? c.redirect('docs', 302) : await next();
  });
  // The page refers to its files relative to `/docs`.
  app.get('/docs/', gate, (c) => c.redirect('../docs', 301));
  return app;
}

/** Browsers accept text/html explicitly; programs accept JSON or anything. */
function acceptsHtml(accept: string | undefined): boolean {
  return accept?.split(',').some((type) => type.split(';')[0]?.trim().toLowerCase() === 'text/html') ?? false;
}

/** Mounted at `/docs`. Every file is read once and shared by all answers. */
export function docs(document: OpenApiDocument): Hono<HttpEnv> {
  const app = new Hono<HttpEnv>();
  const { middleware: gate } = forEveryone();
  const text = JSON.stringify(document);
  const typed = (type: string) => ({ 'Content-Type': type, 'X-Content-Type-Options': 'nosniff' });
  app.get('/', gate, (c) =>
    c.body(page, 200, {
      ...typed('text/html; charset=UTF-8'),
      'Content-Security-Policy': contentSecurityPolicy,
    }),
  );
  app.get('/json', gate, (c) => c.body(text, 200, typed('application/json')));
  app.get('/assets/start.js', gate, (c) => c.body(startScript, 200, typed('text/javascript; charset=utf-8')));
  const readAsset = assetReader();
  for (const [name, type] of Object.entries(assets)) {
    app.get(`/assets/${name}`, gate, async (c) => {
      const headers = { ...typed(type), 'Cache-Control': 'max-age=3600' };
      return c.body(await readAsset(name), 200, headers);
    });
  }
  return app;
}

function assetReader(): (name: string) => Promise<Uint8Array<ArrayBuffer>> {
  const directory = dirname(createRequire(import.meta.url).resolve('swagger-ui-dist/package.json'));
  const read = new Map<string, Promise<Uint8Array<ArrayBuffer>>>();
  return (name) => {
    const known = read.get(name);
    if (known) return known;
    const bytes = readFile(join(directory, name)).then((file) => new Uint8Array(file));
    read.set(name, bytes);
    // A failed read is tried again.
    bytes.catch(() => read.delete(name));
    return bytes;
  };
}
