/** `/images`, `/templates` and `/healthz`: documented routes and handlers. */
import { createRoute, type OpenAPIHono, type RouteConfig, z } from '@hono/zod-openapi';
import { AppError } from '../../../core/errors.ts';
import { hasScope } from '../../../core/keys/caller.ts';
import { shortId } from '../../../lib/ids.ts';
import { forEveryone, smallBodyBytesMax } from '../../access.ts';
import type { HttpDeps, HttpEnv } from '../../context.ts';
import { bodyOf, json, nounApp } from '../../documented.ts';
import { readBody } from './body.ts';
import { bodyRefused, common, conflict, failure, invalid, notFound, timedOut } from './failures.ts';
import { needs } from './needs.ts';
import * as schema from './schema.ts';
import { again, VmService } from './service.ts';
import * as translate from './translate.ts';

const request = { params: schema.idParams };
/** The least memory of a VM with an image whose maker does not say. */
const memoryMibMin = 96;

/** Routes of a noun that is listed, made, shown and deleted. */
const nounRoutes = <Body extends z.ZodType, Create extends z.ZodType>(
  noun: 'Image' | 'Template',
  body: Body,
  create: Create,
  example: z.input<Create>,
) => {
  const tag = { tags: [`${noun.toLowerCase()}s`] };
  return {
    list: createRoute({
      ...{ method: 'get', path: '/', operationId: `list${noun}s`, ...tag, ...needs('machines:read') },
      summary: `List ${noun.toLowerCase()}s`,
      responses: { 200: json('All of yours.', z.array(body)), ...invalid, ...common },
    }),
    create: createRoute({
      ...{ method: 'post', path: '/', operationId: `create${noun}`, ...tag },
      ...needs('machines:write', smallBodyBytesMax),
      summary: `Create ${noun === 'Image' ? 'an image' : 'a template'}`,
      request: bodyOf(create, example),
      responses: { 201: json('It.', body), ...invalid, ...common, ...conflict, ...timedOut, ...bodyRefused },
    }),
    get: createRoute({
      ...{ method: 'get', path: '/{id}', operationId: `get${noun}`, ...tag, ...needs('machines:read') },
      summary: `Get ${noun === 'Image' ? 'an image' : 'a template'}`,
      request,
      responses: { 200: json('It.', body), ...invalid, ...common, ...notFound },
    }),
    remove: createRoute({
      ...{
        method: 'delete',
        path: '/{id}',
        operationId: `delete${noun}`,
        ...tag,
        ...needs('machines:write'),
      },
      summary: `Delete ${noun === 'Image' ? 'an image' : 'a template'}`,
      request,
      responses: {
        200: json('Deleted.', schema.deletedBody),
        ...{ ...invalid, ...common, ...notFound, ...timedOut, ...bodyRefused },
        // Nothing holds a template.
        ...(noun === 'Image' ? conflict : {}),
      },
    }),
  };
};

const images = nounRoutes('Image', schema.imageBody, schema.imageCreateBody, {
  id: 'img_alpine',
  rootfs_path: '/srv/roots/alpine.tar.gz',
});
const templates = nounRoutes('Template', schema.templateBody, schema.templateCreateBody, {
  name: 'web',
  image_id: 'img_default',
  vcpu_count: 1,
  mem_mib: 512,
});
const health = createRoute({
  method: 'get',
  path: '/',
  operationId: 'getHealth',
  tags: ['health'],
  ...forEveryone(),
  summary: 'Ask whether the daemon answers',
  description: 'Needs no key.',
  responses: {
    200: json('It does.', schema.healthBody),
    403: failure('While authentication is off, it comes from another host’s page.', 'forbidden'),
    500: common[500],
    503: common[503],
  },
});

export const imageRoutes: readonly RouteConfig[] = Object.values(images);
export const templateRoutes: readonly RouteConfig[] = Object.values(templates);
export const healthRoutes: readonly RouteConfig[] = [health];

export function imagesApp({ imageService, machines }: HttpDeps): OpenAPIHono<HttpEnv> {
  const app = nounApp();
  const { image: byDefault } = machines.defaults;
  const nameOf = (id: string) => translate.imageName(id, byDefault);
  app.openapi(images.list, async (c) => {
    const page = await imageService.list(c.get('caller'), { limit: Number.MAX_SAFE_INTEGER, offset: 0 });
    return c.json(
      page.images.map((image) => translate.toImageBody(image, byDefault)),
      200,
    );
  });
  app.post('/', images.create.middleware, async (c) => {
    const { id, kernel_path, rootfs_path: path, boot_args } = await readBody(c, schema.imageCreateBody);
    translate.requireNone('kernel_path', kernel_path, 'guests boot with the host’s kernel');
    translate.requireNone('boot_args', boot_args, 'the host sets the kernel’s command line');
    const kind = path.endsWith('/') ? ('directory' as const) : ('tarball' as const);
    const image = await imageService.add(
      c.get('caller'),
      {
        name: id ? nameOf(id) : shortId(),
        kernel: 'host',
        memoryMibMin,
        isShared: false,
        source: { kind, path },
      },
      c.get('session').signal,
    );
    return c.json(translate.toImageBody(image, byDefault), 201);
  });
  app.openapi(images.get, async (c) => {
    const image = await found(imageService.get(c.get('caller'), nameOf(c.req.valid('param').id)));
    return c.json(translate.toImageBody(image, byDefault), 200);
  });
  app.openapi(images.remove, async (c) => {
    await found(imageService.delete(c.get('caller'), nameOf(c.req.valid('param').id)));
    return c.json({ status: 'deleted' as const }, 200);
  });
  return app;
}

/** Hatch names nothing that is not there. */
async function found<T>(promise: Promise<T>): Promise<T> {
  return promise.catch((error: unknown) => {
    if (error instanceof AppError && error.code === 'not_found')
      throw new AppError('not_found', 'not found', { cause: error });
    throw error;
  });
}

export function templatesApp({ templates: service, machines }: HttpDeps): OpenAPIHono<HttpEnv> {
  const app = nounApp();
  const { image: byDefault } = machines.defaults;
  app.openapi(templates.list, async (c) => {
    // No tenant may have more.
    const caller = c.get('caller');
    const page = await service.list(caller.tenant, { limit: 1000, offset: 0 });
    const canExec = hasScope(caller, 'machines:exec');
    return c.json(
      page.templates.map((template) => translate.toTemplateBody(template, byDefault, canExec)),
      200,
    );
  });
  app.post('/', templates.create.middleware, async (c) => {
    const caller = c.get('caller');
    const body = await readBody(c, schema.templateCreateBody);
    const asked = translate.toNewTemplate(body, machines.defaults);
    const template = await service.create(caller.tenant, asked).catch((error: unknown) => {
      // The request names an image that is not there.
      if (error instanceof AppError && error.code === 'not_found')
        throw again('invalid', error.message, error);
      throw error;
    });
    return c.json(translate.toTemplateBody(template, byDefault, hasScope(caller, 'machines:exec')), 201);
  });
  app.openapi(templates.get, async (c) => {
    const caller = c.get('caller');
    const template = await service.get(caller.tenant, translate.templateText(c.req.valid('param').id));
    return c.json(translate.toTemplateBody(template, byDefault, hasScope(caller, 'machines:exec')), 200);
  });
  app.openapi(templates.remove, async (c) => {
    await service.delete(c.get('caller').tenant, translate.templateText(c.req.valid('param').id));
    return c.json({ status: 'deleted' as const }, 200);
  });
  return app;
}

export function healthApp(deps: HttpDeps): OpenAPIHono<HttpEnv> {
  const { routes } = deps;
  const app = nounApp();
  const vms = new VmService(deps);
  app.openapi(health, async (c) => {
    return c.json(
      { status: 'ok' as const, vm_count: await vms.count(), route_count: await routes.count() },
      200,
    );
  });
  return app;
}
