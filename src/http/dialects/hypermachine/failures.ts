/** The documented failures of HyperMachine's routes, in its words. */
import { z } from '@hono/zod-openapi';
import { exampleRequestId } from '../../schema.ts';

const errorBody = z
  .object({
    error: z.object({
      code: z.string().openapi({ example: 'VM_NOT_FOUND' }),
      message: z.string().openapi({ example: "Virtual machine 'vm-xyz' not found" }),
      details: z
        .record(z.string(), z.unknown())
        .openapi({ description: 'Facts, and `hint`: what to do about it.' }),
      request_id: z.string().optional(),
    }),
  })
  .openapi('Error');

const failure = (description: string, code: string, message: string, details: object = {}) => ({
  description,
  content: {
    'application/json': {
      schema: errorBody,
      example: { error: { code, message, details, request_id: exampleRequestId } },
    },
  },
});

/** Of any request that needs a key. */
export const keyFailures = {
  401: failure('No key, or not a valid one.', 'UNAUTHORIZED', 'Invalid API key'),
  403: failure('The key does not allow it.', 'FORBIDDEN', 'Insufficient permissions for this action'),
  429: failure(
    'Too many requests, or virtual machines, for the key’s tier.',
    'RATE_LIMITED',
    'Rate limit exceeded',
  ),
  500: failure('A defect of ours, or the VMM failed.', 'INTERNAL_ERROR', 'An unexpected error occurred'),
  503: failure('Not now: no room, or shutting down.', 'RESOURCE_EXHAUSTED', 'the host’s memory is reserved'),
} as const;
export const invalid = {
  400: failure(
    'The request is wrong, or this host cannot do it.',
    'INVALID_REQUEST',
    'cpus must be at most 128',
  ),
} as const;
export const notFound = {
  404: failure('No such virtual machine.', 'VM_NOT_FOUND', "Virtual machine 'vm-xyz' not found"),
} as const;
export const wrongState = {
  409: failure(
    'Its state does not allow it.',
    'INVALID_STATE',
    "Cannot start a virtual machine in state 'running'",
    {
      operation: 'start',
      state: 'running',
    },
  ),
} as const;
export const tooLate = {
  504: failure('A deadline passed.', 'TIMEOUT', 'the guest did not answer within 60 s'),
} as const;
export const guestLost = {
  502: failure(
    'The guest cannot be reached, or was lost.',
    'GUEST_UNREACHABLE',
    'the guest’s link is closed',
  ),
} as const;
export const bodyRefused = {
  413: failure('The body is over the limit.', 'INVALID_REQUEST', 'request body is larger than 262144 bytes'),
  415: failure(
    'The body is packed, or not UTF-8.',
    'UNSUPPORTED',
    'A request body cannot have a Content-Encoding',
  ),
} as const;
export const nameTaken = {
  409: failure('The name is taken.', 'CONFLICT', "Machine with name 'my-first-vm' already exists"),
} as const;
export const noImage = { 404: failure('No such image.', 'NOT_FOUND', 'no image "nginx"') } as const;
export const noTool = {
  404: failure(
    'No such tool, virtual machine or image.',
    'NOT_FOUND',
    "unknown tool 'make_vm': did you mean 'create_vm'?",
  ),
} as const;
