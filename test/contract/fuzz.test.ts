/**
 * Checks that the server behaves as its OpenAPI document says: valid and invalid requests are generated from
 * the document and sent to the real server with fakes. `FUZZ_RUNS` sets their number per operation; without
 * it the same ones are used each time, in `make check` fewer of them.
 */
import type { Agent } from 'node:http';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { AppError } from '../../src/core/errors.ts';
import type { ExecEvent } from '../../src/core/ports/guest.ts';
import type { HttpServer } from '../../src/http/server.ts';
import { type FakeFlotilla, serveFake, startFake, testKey } from '../support/fake.ts';
import { isQuick } from '../support/thoroughness.ts';
import { type DocumentedOperation, readContract } from './document.ts';
import { keepAliveAgent, send, type WireAnswer, type WireRequest } from './http.ts';
import { arrangeImage, imagesPath, subjectImageName } from './image-subject.ts';
import { arrangeKey, keysPath, subjectKeyId } from './key-subject.ts';
import { arrangeOperation, operationsPath, subjectOperationId } from './operation-subject.ts';
import { type Generated, requestsOf, subjectExecId } from './requests.ts';
import { arrangeSnapshot, snapshotsPath, subjectSnapshotName } from './snapshot-subject.ts';
import { arrangeSshKey, sshKeysPath, subjectSshKeyName } from './ssh-key-subject.ts';
import { arrangeTemplate, subjectTemplateName, templatesPath } from './template-subject.ts';

const runs = Number(process.env.FUZZ_RUNS ?? (isQuick ? 4 : 40));
const isLong = process.env.FUZZ_RUNS !== undefined;
const parameters = { numRuns: runs, ...(isLong ? {} : { seed: 20_261_122 }) };
const timeoutMs = isLong ? 900_000 : 120_000;

const contract = readContract();
const machine = 'fuzzed';
const errorSchema = { $ref: '#/components/schemas/Error' };

let fake: FakeFlotilla;
let server: HttpServer;
let url: string;
let agent: Agent;

beforeAll(async () => {
  fake = await startFake();
  fake.guest.onShutdown = ({ incarnation }) => fake.driver.machine(incarnation).powerOff();
  ({ server, url } = await serveFake(fake));
  agent = keepAliveAgent();
});
afterAll(async () => {
  agent.destroy();
  await server.close(0);
  await fake.close();
});

/** The state of the machine at the request, and the failures below it. */
const situations = ['absent', 'created', 'running', 'failed'] as const;
type Situation = (typeof situations)[number];
const faults = {
  none: () => undefined,
  'the VMM fails': () => {
    fake.guest.onReady = () => Promise.reject(new AppError('engine', 'the VMM ended'));
  },
  'the guest is lost': () => {
    const lost = () => Promise.reject(new AppError('guest', 'the guest link was lost'));
    fake.guest.onReady = lost;
    fake.guest.events = [{ type: 'outcome', outcome: { outcome: 'unknown', reason: 'it was lost' } }];
  },
  'no space is left': () => {
    fake.disks.nextFailure = new AppError('exhausted', 'no space left');
  },
  'the command is slow': () => {
    fake.guest.events = [{ type: 'outcome', outcome: { outcome: 'timed_out' } }];
  },
} as const;
type Fault = keyof typeof faults;

const output: readonly ExecEvent[] = [
  { type: 'stdout', data: new TextEncoder().encode('out\0\ufffd') },
  { type: 'stderr', data: new Uint8Array([0xff, 0xfe]) },
  { type: 'outcome', outcome: { outcome: 'signalled', signal: 'KILL' } },
];

async function arrange(situation: Situation, fault: Fault): Promise<void> {
  fake.guest.onReady = async () => undefined;
  fake.guest.events = output;
  fake.disks.nextFailure = null;
  const { machines } = await fake.machines.list({ tenant: 'default', limit: 1000, offset: 0 });
  for (const { id } of machines) await fake.machines.delete('default', id, { force: true });
  if (situation !== 'absent') {
    await fake.machines.create('default', { name: machine, vcpuCount: 1, memoryMib: 128 });
  }
  if (situation === 'running') {
    await fake.machines.start('default', machine);
    const { id: machineId, incarnation, handle } = await fake.machines.get('default', machine);
    if (incarnation === null || handle === null) throw new Error('it does not run');
    const target = { machineId, incarnation, address: handle.guest };
    await fake.guest.commands.start(target, { id: subjectExecId, argv: ['x'] });
  }
  if (situation === 'failed') {
    fake.guest.onReady = () => Promise.reject(new AppError('guest', 'it never came up'));
    await fake.machines.start('default', machine).catch(() => undefined);
    fake.guest.onReady = async () => undefined;
  }
  faults[fault]();
}

/** The possible values of `{id}` or `{name}`, and how their subject is made. */
function subjectOf({ path }: DocumentedOperation) {
  if (path.startsWith(operationsPath)) {
    const stateIn = { absent: 'absent', created: 'succeeded', running: 'running', failed: 'failed' } as const;
    return {
      id: subjectOperationId,
      arrange: (situation: Situation) => arrangeOperation(fake, stateIn[situation]),
    };
  }
  if (path.startsWith(imagesPath)) {
    const imageIn = { absent: 'absent', created: 'own', running: 'shared', failed: 'own' } as const;
    return {
      id: subjectImageName,
      arrange: (situation: Situation) => arrangeImage(fake, imageIn[situation]),
    };
  }
  if (path.startsWith(sshKeysPath)) {
    return {
      id: subjectSshKeyName,
      arrange: (situation: Situation) => arrangeSshKey(fake, situation === 'absent'),
    };
  }
  if (path.startsWith(snapshotsPath)) {
    return {
      id: subjectSnapshotName,
      arrange: (situation: Situation) => arrangeSnapshot(fake, situation === 'absent'),
    };
  }
  if (path.startsWith(templatesPath)) {
    return {
      id: subjectTemplateName,
      arrange: (situation: Situation) => arrangeTemplate(fake, situation === 'absent'),
    };
  }
  if (!path.startsWith(keysPath)) return { id: machine, arrange };
  const keyIn = { absent: 'absent', created: 'live', running: 'live', failed: 'revoked' } as const;
  return { id: subjectKeyId, arrange: (situation: Situation) => arrangeKey(fake, keyIn[situation]) };
}

const situation = fc.constantFrom(...situations);
const fault = fc.oneof(
  { weight: 4, arbitrary: fc.constant<Fault>('none') },
  { weight: 1, arbitrary: fc.constantFrom(...(Object.keys(faults) as Fault[])) },
);

describe.each(contract.operations.map((each) => [each.operationId, each] as const))('%s', (_, operation) => {
  test(`answers ${runs} requests as documented`, { timeout: timeoutMs }, async () => {
    const subject = subjectOf(operation);
    const requests = requestsOf(contract, operation, { key: testKey, id: subject.id });
    const property = fc.asyncProperty(requests, situation, fault, async (request, now, broken) => {
      await subject.arrange(now, broken);
      const wire = await awaitableNow(operation, request.wire);
      const answer = await send(agent, url, wire);
      checkAnswer(operation, wire, answer);
      checkVerdict(request, answer, broken);
    });
    await fc.assert(property, parameters);
  });
});

/** A wait that cannot succeed, and a followed console, stay open, which is correct but slow. */
async function awaitableNow(operation: DocumentedOperation, wire: WireRequest): Promise<WireRequest> {
  if (operation.operationId === 'getMachineConsole' && (await isRunning())) {
    return { ...wire, path: wire.path.replaceAll('follow=true', 'follow=false') };
  }
  if (operation.operationId !== 'waitForMachine') return wire;
  const { machines } = await fake.machines.list({ tenant: 'default', limit: 1, offset: 0 });
  const status = { created: 'pending', running: 'running' }[String(machines[0]?.state)] ?? 'failed';
  return {
    ...wire,
    path: wire.path.replace(
      /status=(?:pending|starting|running|paused|suspended|stopping|stopped|failed)\b/g,
      `status=${status}`,
    ),
  };
}

async function isRunning(): Promise<boolean> {
  const { machines } = await fake.machines.list({ tenant: 'default', limit: 1, offset: 0 });
  return machines[0]?.state === 'running';
}

/** Every answer must have a documented status, content type and body, and the request's id. */
function checkAnswer(operation: DocumentedOperation, wire: WireRequest, answer: WireAnswer): void {
  checkRequestId(wire, answer);
  // `/machines/../routes` is Hatch's.
  if (new URL(wire.path, 'http://fuzzed').pathname === '/routes') return;
  checkHint(answer);
  const documented = operation.responses[answer.status];
  const pathOfOperation = new RegExp(`^${operation.path.replaceAll(/\{\w+\}/g, '[^/?]+')}(?:\\?|$)`);
  if (!pathOfOperation.test(wire.path) || isRouteNotFound(answer)) {
    checkError(answer);
    return;
  }
  expect(documented, `status ${answer.status} is documented: ${answer.body}`).toBeDefined();
  if (!documented?.content) {
    expect(answer.body).toBe('');
    return;
  }
  const type = mediaType(answer);
  const media = documented.content[type];
  expect(media, `content type ${type} is documented for ${answer.status}`).toBeDefined();
  if (!media) return;
  if (type === 'text/plain' || type === 'application/octet-stream') {
    expect(contract.problem(media.schema, answer.body)).toBeNull();
    return;
  }
  for (const value of valuesOf(type, answer.body))
    expect(contract.problem(media.schema, JSON.parse(value)), value).toBeNull();
}

/** Unusual ids can turn the path into one without a route. */
function isRouteNotFound(answer: WireAnswer): boolean {
  return answer.status === 404 && answer.body.includes('"message":"Route ');
}

/** The JSON of an answer: one value, one a line, or one an event. */
function valuesOf(type: string, body: string): readonly string[] {
  if (type === 'application/x-ndjson') return body.trimEnd().split('\n');
  if (type === 'text/event-stream') return [...body.matchAll(/^data: (.*)$/gm)].map(([, data = '']) => data);
  return [body];
}

/** A refusal says what to do next, in addition to what is wrong. */
function checkHint(answer: WireAnswer): void {
  if (![400, 413, 415].includes(answer.status)) return;
  expect(JSON.parse(answer.body), answer.body).toMatchObject({
    error: { hint: expect.stringMatching(/\S/) },
  });
}

function checkRequestId(wire: WireRequest, answer: WireAnswer): void {
  const given = wire.headers['X-Request-Id'];
  expect(answer.headers['x-request-id']).toMatch(/^[\w.:-]{1,128}$/);
  if (given === 'req-1') expect(answer.headers['x-request-id']).toBe(given);
}

function checkError(answer: WireAnswer): void {
  expect([400, 401, 404]).toContain(answer.status);
  expect(mediaType(answer)).toBe('application/json');
  expect(contract.problem(errorSchema, JSON.parse(answer.body))).toBeNull();
}

/**
 * Allowed requests must not be refused as malformed, forbidden ones must be, and nothing may fail
 * unexpectedly.
 */
function checkVerdict(request: Generated, answer: WireAnswer, broken: Fault): void {
  if (broken === 'none') expect(answer.status, answer.body).toBeLessThan(500);
  expect(answer.body).not.toContain('INTERNAL_ERROR');
  if (!request.isAuthorized) return;
  // An upload whose name is taken is refused before its body is read, so the body's errors are not reported.
  const isUnread = answer.status === 409 && answer.body.includes('exists already');
  if (request.isAllowed === false && !isUnread) expect(answer.status, answer.body).toBe(400);
  if (request.isAllowed && answer.status === 400 && !isLimitOfHost(answer)) {
    expect(answer.body).not.toContain('VALIDATION_ERROR');
  }
}

/** The document contains neither the limits that depend on the host, its engines, images, clock and the machine, nor the languages of user data, public keys, addresses and subdomains. */
function isLimitOfHost(answer: WireAnswer): boolean {
  return /this host|with a disk of|MiB of memory|needs a disk of at least|a disk has at most|a disk cannot shrink|must be in the future|user data|ahead of the command|public key|private key|keys? (?:says|of type|on security|needs)|DSA keys|not an address|subdomain|no destination|rule with ports|needs a network|without a network has no|have the address|not a name|bridge|names its devices|gives its own|follows from/i.test(
    answer.body,
  );
}

function mediaType(answer: WireAnswer): string {
  return String(answer.headers['content-type']).split(';')[0] ?? '';
}

describe('requests outside the document', () => {
  const methods = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'PROPFIND', 'QUERY'];
  const segment = fc.oneof(
    fc.constantFrom(
      'machines',
      machine,
      'start',
      'docs',
      'health',
      '',
      '.',
      '..',
      '%',
      '%2e%2e',
      '*',
      'x'.repeat(3000),
    ),
    fc.string({ maxLength: 8 }).map(encodeURIComponent),
  );
  const known = new Set(
    contract.operations.map(({ method, path }) => `${method} ${path.replaceAll(/\{\w+\}/g, '')}`),
  );

  test(`${runs} odd methods and paths: an error in the same format`, { timeout: timeoutMs }, async () => {
    await arrange('created', 'none');
    const path = fc.array(segment, { maxLength: 5 }).map((parts) => `/${parts.join('/')}`);
    const property = fc.asyncProperty(fc.constantFrom(...methods), path, async (method, odd) => {
      if (known.has(`${method} ${odd}`)) return;
      const wire = { method, path: odd, headers: { Authorization: `Bearer ${testKey}` }, body: null };
      const answer = await send(agent, url, wire);
      expect(answer.status, answer.body).toBeLessThan(500);
      checkRequestId(wire, answer);
      checkHint(answer);
      if (answer.status >= 400) checkError(answer);
    });
    await fc.assert(property, parameters);
  });
});
