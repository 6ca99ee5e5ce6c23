/**
 * Checks the documents of the other systems' dialects as `fuzz.test.ts` checks our own: requests are generated from the
 * document, valid and invalid ones, and each answer must be documented. `FUZZ_RUNS` sets their number per operation.
 */
import type { Agent } from 'node:http';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { dialects } from '../../src/http/dialects.ts';
import type { HttpServer } from '../../src/http/server.ts';
import { type FakeFlotilla, serveFake, startFake, testKey } from '../support/fake.ts';
import { isQuick } from '../support/thoroughness.ts';
import { type Contract, type DocumentedOperation, readContract } from './document.ts';
import { keepAliveAgent, send, type WireAnswer } from './http.ts';
import { requestsOf } from './requests.ts';

const runs = Number(process.env.FUZZ_RUNS ?? (isQuick ? 3 : 30));
const isLong = process.env.FUZZ_RUNS !== undefined;
const parameters = { numRuns: runs, ...(isLong ? {} : { seed: 20_261_129 }) };
const timeoutMs = isLong ? 900_000 : 120_000;
const machine = 'fuzzed';

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

/** Leaves one machine, in the given state. */
async function arrange(situation: 'absent' | 'created' | 'running'): Promise<void> {
  const { machines } = await fake.machines.list({ tenant: 'default', limit: 1000, offset: 0 });
  for (const { id } of machines) await fake.machines.delete('default', id, { force: true });
  if (situation === 'absent') return;
  await fake.machines.create('default', { name: machine, vcpuCount: 1, memoryMib: 128 });
  if (situation === 'running') await fake.machines.start('default', machine);
}

const others = [...new Set(dialects.map(({ document }) => document.name))].filter(
  (name) => name !== 'machines',
);

describe.each(others)('the document of %s', (name) => {
  const contract = readContract(name);

  test.each(contract.operations.map((each) => [each.operationId, each] as const))(
    '%s: every answer is documented',
    { timeout: timeoutMs },
    async (_, operation) => {
      const requests = requestsOf(contract, operation, { key: testKey, id: machine });
      const situations = fc.constantFrom('absent' as const, 'created' as const, 'running' as const);
      const property = fc.asyncProperty(requests, situations, async ({ wire }, situation) => {
        await arrange(situation);
        checkAnswer(contract, operation, wire.path, await send(agent, url, wire));
      });
      await fc.assert(property, parameters);
    },
  );
});

function checkAnswer(
  contract: Contract,
  operation: DocumentedOperation,
  path: string,
  answer: WireAnswer,
): void {
  // 501 says that this host lacks something, in words.
  expect(answer.status === 501 || answer.status < 500 || answer.status === 503, answer.body).toBe(true);
  const isOfOperation = new RegExp(`^${operation.path.replaceAll(/\{\w+\}/g, '[^/?]+')}(?:\\?|$)`).test(path);
  // Unusual ids can turn the path into another one.
  if (!isOfOperation || /\/\.{1,2}(?:\/|\?|$)|%2e|%00|%2f/i.test(path)) return;
  const documented = operation.responses[answer.status];
  expect(documented, `status ${answer.status} is documented: ${path} ${answer.body}`).toBeDefined();
  if (!documented?.content) return;
  const type = String(answer.headers['content-type']).split(';')[0] ?? '';
  const media = documented.content[type];
  expect(media, `content type ${type} is documented for ${answer.status}`).toBeDefined();
  if (!media || !type.endsWith('json')) return;
  expect(contract.problem(media.schema, JSON.parse(answer.body)), answer.body).toBeNull();
}
