/** Every list fits the terminal of whoever reads it. */
import { stripVTControlCharacters } from 'node:util';
import type { Command } from 'commander';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { define as defineEnv } from './commands/env.ts';
import { define as defineImages } from './commands/images.ts';
import { define as defineKeys } from './commands/keys.ts';
import { define as defineLs } from './commands/ls.ts';
import { define as defineOperations } from './commands/operations.ts';
import { define as defineQuotas } from './commands/quotas.ts';
import { define as defineSnapshots } from './commands/snapshots.ts';
import { define as defineTemplates } from './commands/templates.ts';
import type { Context } from './context.ts';
import { FakeApi } from './testing/fake-api.ts';
import { testContext } from './testing/test-context.ts';

let api: FakeApi;
beforeEach(async () => {
  api = await FakeApi.start();
  fill(api);
});
afterEach(() => api[Symbol.asyncDispose]());

const at = '2026-11-29T16:14:11.970Z';
const name = 'a-thing-with-a-name-that-nobody-would-type-twice';

/** One thing of each kind, with texts as long as they come. */
function fill({ nouns, add }: FakeApi): void {
  const labels = { team: 'platform', environment: 'staging', owner: 'alice@example.com' };
  add.call(api, name, 'running', { id: 'k3v9x2m1q8zt', image: `ghcr.io/org/${name}:1`, labels });
  nouns.addImage(`ghcr.io/org/${name}:1`, { kernel: 'image', kernel_release: '6.12.48+deb13-cloud-amd64' });
  const sizes = { vcpu_count: 16, mem_size_mib: 16_384, disk_size_mib: 1_048_576 };
  const times = { created_at: at, updated_at: at };
  nouns.templates.push({
    id: 't',
    name,
    image: name,
    ...sizes,
    description: name,
    user_data: null,
    ...times,
  });
  nouns.addSnapshot({ id: 'k3v9x2m1q8zt', name }, { name, labels });
  const uses = { expires_at: at, last_used_at: at, revoked_at: null, tier: 'enterprise' };
  const scopes = ['machines:read', 'machines:write', 'machines:exec'];
  nouns.keys.push({
    id: 'k3v9x2m1q8zt',
    name,
    prefix: 'hf_12345678',
    scopes,
    tenant: name,
    ...uses,
    ...times,
  });
  nouns.operations.push({
    ...{ id: 'k3v9x2m1q8zt', kind: 'environment.create', state: 'succeeded', cancel_requested: false },
    ...{ subjects: [{ kind: 'environment', id: name }], steps: [{ name: 'machines', phase: 'done', at }] },
    ...{ failure: { code: 'timeout', message: name.repeat(3), step: 'machines' }, ...times },
  });
  nouns.environments.push({
    id: name,
    owner: name,
    state: 'stopped',
    warnings: [],
    expires_at: at,
    ...times,
  });
  const limits = { machines: 1_000_000, vcpus: 1_000_000, memory_mib: 1_000_000_000, disk_mib: null };
  nouns.quotas.push({ tenant: name, limits });
}

const listings: readonly (readonly [string, (context: Context) => Command, readonly string[]])[] = [
  ['ls', defineLs, []],
  ['env ls', defineEnv, ['ls']],
  ['images ls', defineImages, ['ls']],
  ['keys ls', defineKeys, ['ls']],
  ['operations ls', defineOperations, ['ls']],
  ['quotas ls', defineQuotas, ['ls']],
  ['snapshots ls', defineSnapshots, ['ls']],
  ['templates ls', defineTemplates, ['ls']],
];

async function shown(define: (context: Context) => Command, args: readonly string[], columns: number) {
  const { context, ended } = testContext({ FLOTILLA_URL: api.url }, { isTTY: true, columns });
  await define(context).exitOverride().parseAsync(args, { from: 'user' });
  const { stdout, stderr } = await ended();
  expect(stderr).toBe('');
  return stripVTControlCharacters(stdout);
}

test.each(listings)('%s fits 40, 80 and 200 columns', async (_, define, args) => {
  for (const columns of [40, 80, 200]) {
    const text = await shown(define, args, columns);
    const lines = text.trimEnd().split('\n');
    expect(lines).toHaveLength(2);
    for (const line of lines) expect(line.trimEnd().length, text).toBeLessThanOrEqual(columns);
  }
});
