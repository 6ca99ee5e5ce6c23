/** The handlers of `/api/v1/images`: a few lines each between HTTP and core. */
import type { OpenAPIHono } from '@hono/zod-openapi';
import type { RequestSource } from '../../../core/images/service.ts';
import type { Image } from '../../../core/ports/images.ts';
import type { HttpDeps, HttpEnv } from '../../context.ts';
import { nounApp } from '../../documented.ts';
import { uploadedChunks } from '../../uploaded-chunks.ts';
import { routes } from './definitions.ts';
import type { ImageBody, ImportImageBody } from './schema.ts';

export function imagesApp({ imageService }: HttpDeps): OpenAPIHono<HttpEnv> {
  const app = nounApp();
  app.openapi(routes.import, async (c) => {
    const body = c.req.valid('json');
    const image = await imageService.add(
      c.get('caller'),
      {
        name: body.name,
        kernel: body.kernel,
        memoryMibMin: body.min_memory_mib,
        isShared: body.shared,
        source: toSource(body),
      },
      c.get('session').signal,
    );
    return c.json(toImageBody(image), 201);
  });
  app.openapi(routes.upload, async (c) => {
    const { kernel, min_memory_mib } = c.req.valid('query');
    const image = await imageService.add(
      c.get('caller'),
      {
        name: c.req.valid('param').name,
        kernel,
        memoryMibMin: min_memory_mib,
        isShared: false,
        source: { kind: 'stream', chunks: uploadedChunks(c.env.incoming, c.env.outgoing) },
      },
      c.get('session').signal,
    );
    return c.json(toImageBody(image), 201);
  });
  app.openapi(routes.list, async (c) => {
    const { images, total } = await imageService.list(c.get('caller'), c.req.valid('query'));
    return c.json({ images: images.map(toImageBody), total }, 200);
  });
  app.openapi(routes.get, async (c) => {
    return c.json(toImageBody(await imageService.get(c.get('caller'), c.req.valid('param').name)), 200);
  });
  app.openapi(routes.remove, async (c) => {
    await imageService.delete(c.get('caller'), c.req.valid('param').name);
    return c.body(null, 204);
  });
  return app;
}

/** The schema ensures that one of the two exists. */
function toSource({ directory, tarball }: ImportImageBody): RequestSource {
  return directory === undefined
    ? { kind: 'tarball', path: tarball ?? '' }
    : { kind: 'directory', path: directory };
}

function toImageBody(image: Image): ImageBody {
  return {
    name: image.name,
    digest: image.digest,
    size_mib: image.rootMib,
    min_memory_mib: image.memoryMibMin,
    kernel: image.kernel,
    kernel_release: image.kernelRelease,
    built_in: image.isBuiltIn,
    shared: image.tenant === null,
    created_at: image.createdAt,
  };
}
