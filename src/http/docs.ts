/** `/docs`: the OpenAPI document and Swagger UI, served from local files only. Needs no key. */
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { Hono } from 'hono';
import { AppError } from '../core/errors.ts';
import { forEveryone } from './access.ts';
import type { HttpEnv } from './context.ts';
import type { Dialect } from './dialect.ts';
import { documentNames, makeDocument } from './openapi.ts';

/** Made from the command line's definition by `scripts/generate.ts`. */
const environmentSchemaFile = join(import.meta.dirname, '../../docs/env.schema.json');

/** The package's files that are served, by name. Without a charset, browsers misread the bundle. */
const assets: Readonly<Record<string, string>> = {
  'swagger-ui.css': 'text/css; charset=utf-8',
  'swagger-ui-bundle.js': 'text/javascript; charset=utf-8',
  'swagger-ui-standalone-preset.js': 'text/javascript; charset=utf-8',
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
<style>body { margin: 0 }</style>
</head>
<body>
<div id="swagger-ui"></div>
<script src="docs/assets/swagger-ui-bundle.js"></script>
<script src="docs/assets/swagger-ui-standalone-preset.js"></script>
<script src="docs/assets/start.js"></script>
</body>
</html>
`;

/**
 * Shows the document chosen in the bar at the top. Without `validatorUrl: null` the page would send the document to a
 * validator on the internet.
 */
function startScript(dialects: readonly Dialect[]): string {
  const titles = new Map(dialects.map(({ document }) => [document.name, document.title]));
  for (const { document } of dialects.toReversed()) titles.set(document.name, document.title);
  const urls = [...titles].map(([name, title]) => ({ url: `docs/json?dialect=${name}`, name: title }));
  const options = {
    urls,
    dom_id: '#swagger-ui',
    layout: 'StandaloneLayout',
    validatorUrl: null,
    deepLinking: true,
  };
  return `SwaggerUIBundle({ ...${JSON.stringify(options)}, presets: [SwaggerUIBundle.presets.apis, SwaggerUIStandalonePreset] });
`;
}

const frontPage = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Flotilla</title>
</head>
<body>
<h1>Flotilla</h1>
<p>This daemon runs microVMs on this machine.</p>
<ul>
<li><a href="docs">API documentation</a></li>
<li><a href="health">Health</a></li>
</ul>
</body>
</html>
`;

/**
 * Shows browsers a page with links at `/`; programs get the same answer as for any unknown route.
 */
export function frontDoor(): Hono<HttpEnv> {
  const app = new Hono<HttpEnv>();
  const { middleware: gate } = forEveryone();
  app.get('/', gate, async (c, next) => {
    const { url = '', headers } = c.env.incoming;
    // A path such as `/machines/..` also leads here; it was meant as something else.
    const isAskedFor = url === '/' || url.startsWith('/?');
    if (!isAskedFor || !acceptsHtml(headers.accept)) return next();
    return c.body(frontPage, 200, {
      'Content-Type': 'text/html; charset=UTF-8',
      'X-Content-Type-Options': 'nosniff',
      'Content-Security-Policy':
        "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    });
  });
  // The page refers to its files relative to `/docs`.
  app.get('/docs/', gate, (c) => c.redirect('../docs', 301));
  return app;
}

/** Browsers accept text/html explicitly; programs accept JSON or anything. */
function acceptsHtml(accept: string | undefined): boolean {
  return accept?.split(',').some((type) => type.split(';')[0]?.trim().toLowerCase() === 'text/html') ?? false;
}

/**
 * Mounted at `/docs`. `/docs/json?dialect=NAME` is one dialect's document, without a name that of `main`. Every file is
 * read once and shared by all answers.
 */
export function docs(dialects: readonly Dialect[], main: string, version: string): Hono<HttpEnv> {
  const app = new Hono<HttpEnv>();
  const { middleware: gate } = forEveryone();
  const names = documentNames(dialects);
  const texts = new Map<string, string>();
  // Made when it is first asked for: most daemons are never asked, and the documents hold megabytes.
  const textOf = (name: string): string => {
    const text = texts.get(name) ?? JSON.stringify(makeDocument(dialects, name, version));
    texts.set(name, text);
    return text;
  };
  const script = startScript(dialects);
  const typed = (type: string) => ({ 'Content-Type': type, 'X-Content-Type-Options': 'nosniff' });
  app.get('/', gate, (c) =>
    c.body(page, 200, {
      ...typed('text/html; charset=UTF-8'),
      'Content-Security-Policy': contentSecurityPolicy,
    }),
  );
  app.get('/json', gate, (c) => {
    const name = c.req.query('dialect') ?? main;
    if (names.includes(name)) return c.body(textOf(name), 200, typed('application/json'));
    throw new AppError('not_found', `There is no document of a dialect with this name`, {
      hint: `Ask for one of: ${names.join(', ')}.`,
    });
  });
  app.get('/assets/start.js', gate, (c) => c.body(script, 200, typed('text/javascript; charset=utf-8')));
  // For editors, which name it in the first line of an environment's file.
  app.get('/env.schema.json', gate, async (c) =>
    c.body(await readFile(environmentSchemaFile, 'utf8'), 200, typed('application/schema+json')),
  );
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
