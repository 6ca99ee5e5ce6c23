/** HyperMachine's scripts in Rhai, run by the real engine on the host. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type FakeFlotilla, serveFake, startFake, testKey } from '../../../../test/support/fake.ts';
import { RhaiEngine } from '../../../scripts/rhai-engine.ts';
import type { HttpServer } from '../../server.ts';

let engine: RhaiEngine;
let fake: FakeFlotilla;
let server: HttpServer;
let url: string;
beforeAll(async () => {
  engine = new RhaiEngine();
  fake = await startFake({ scriptEngine: engine });
  ({ server, url } = await serveFake(fake));
  await fake.machines.create('default', { name: 'web', vcpuCount: 2, memoryMib: 128 });
});
afterAll(async () => {
  await server.close(0);
  await fake.close();
  await engine.close();
});

async function run(code: string): Promise<unknown> {
  const response = await fetch(`${url}/api/v1/vms/web/script`, {
    method: 'POST',
    headers: { Authorization: `Bearer ${testKey}`, 'Content-Type': 'application/json' },
    body: JSON.stringify({ language: 'rhai', code }),
  });
  expect(response.status).toBe(200);
  return response.json();
}

test('sees the machine’s constants and the documented functions', async () => {
  const code = 'print(vm_name); [vm_state, vm_status(), vcpu_count, memory_size, get_metrics().vcpu_count]';
  expect(await run(code)).toMatchObject({
    success: true,
    output: 'web\n',
    result: ['created', 'created', 2, 134_217_728, 2],
    error: null,
  });
});

test('names line and column of what is wrong', async () => {
  expect(await run('let x = 1;\nx + nothing')).toMatchObject({
    success: false,
    result: null,
    error: expect.stringMatching(/line 2.*(column|position) 5/),
  });
});

test('ends at the operations', async () => {
  expect(await run('loop { }')).toMatchObject({
    success: false,
    error: expect.stringMatching(/operations/i),
  });
});
