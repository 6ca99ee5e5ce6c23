/** `POST /machines/{id}/ssh-certificates`: a way into one machine for a few minutes. */
import { createRoute, type OpenAPIHono, type RouteConfig, z } from '@hono/zod-openapi';
import {
  certificateSecondsDefault,
  certificateSecondsMax,
} from '../../../../core/ssh/certificate-service.ts';
import { publicKeyCharactersMax } from '../../../../core/ssh/public-key.ts';
import { needs, smallBodyBytesMax } from '../../../access.ts';
import type { HttpDeps, HttpEnv } from '../../../context.ts';
import { bodyOf, bodyRefused, commonFailures, failure, invalid, json, nounApp } from '../../../documented.ts';
import { closed, moment } from '../../../schema.ts';
import { machineParams } from '../schema.ts';

const examplePublicKey = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGYZyk6oQ1ZLYO3FBVC2Nn5cZNa9nsDkBqyqvRz3vHTt';

const createBody = closed({
  public_key: z.string().min(1).max(publicKeyCharactersMax).openapi({
    description: 'The content of a file such as `id_ed25519.pub`; its private half stays with you.',
    example: examplePublicKey,
  }),
  ttl_seconds: z.int().min(1).max(certificateSecondsMax).default(certificateSecondsDefault).openapi({
    description: 'How long it is valid. The connections made with it end then, too.',
    example: certificateSecondsDefault,
  }),
}).openapi('CreateSshCertificate');

const certificateBody = z
  .object({
    certificate: z.string().openapi({
      description: 'For a file beside the private key whose name ends in `-cert.pub`.',
      example: 'ssh-ed25519-cert-v01@openssh.com AAAAIHNzaC1lZDI1NTE5LWNlcnQtdjAxQG9wZW5zc2guY29t',
    }),
    serial: z.string().openapi({ example: '4611686018427387904' }),
    user: z.string().openapi({ description: 'The login name.', example: 'k3v9x2m1q8zt' }),
    port: z.int().openapi({ description: 'The gateway’s TCP port, on the host of this API.', example: 2222 }),
    host_key: z.string().openapi({
      description: 'The gateway’s host key, for `known_hosts`.',
      example: examplePublicKey,
    }),
    ca_public_key: z.string().openapi({
      description: 'The authority’s key. An sshd in the guest that trusts it accepts the certificate, too.',
      example: examplePublicKey,
    }),
    expires_at: moment,
  })
  .openapi('SshCertificate');

const routes = {
  create: createRoute({
    method: 'post',
    path: '/{id}/ssh-certificates',
    operationId: 'createSshCertificate',
    tags: ['ssh-keys'],
    ...needs('machines:exec', { body: { kind: 'json', bytesMax: smallBodyBytesMax } }),
    summary: 'Make an SSH certificate',
    description:
      'Signs your public key, so that its private half can enter this machine through the SSH gateway for a few minutes. The certificate ends with the API key that it was made with.',
    request: { params: machineParams, ...bodyOf(createBody, { public_key: examplePublicKey }) },
    responses: {
      201: json('The certificate, and where to use it.', certificateBody),
      ...invalid('This is not a public key'),
      ...commonFailures,
      404: failure('The machine does not exist.', 'NOT_FOUND', "Machine with id 'abc123' not found"),
      ...bodyRefused,
    },
  }),
};

export const sshRoutes: readonly RouteConfig[] = Object.values(routes);

export function sshApp({ sshCertificates }: HttpDeps): OpenAPIHono<HttpEnv> {
  const app = nounApp();
  app.openapi(routes.create, async (c) => {
    const { public_key: publicKey, ttl_seconds: seconds } = c.req.valid('json');
    const issued = await sshCertificates.issue(c.get('caller'), c.req.valid('param').id, publicKey, seconds);
    return c.json(
      {
        certificate: issued.certificate,
        serial: issued.serial,
        user: issued.machine.id,
        port: issued.port,
        host_key: issued.hostKey,
        ca_public_key: issued.authorityKey,
        expires_at: issued.expiresAt,
      },
      201,
    );
  });
  return app;
}
