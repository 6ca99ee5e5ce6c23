/** Files of `env create -f`: what they become, and what is said of one that is wrong. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { environmentSchema, readEnvironmentFile, toEnvironment } from './environment-file.ts';

let directory: string;
let path: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'flotilla-env-'));
  path = join(directory, 'env.yaml');
});
afterEach(() => rm(directory, { recursive: true }));

async function read(text: string, given: { name?: string; lifetimeSeconds?: number } = {}) {
  await writeFile(path, text);
  return toEnvironment(readEnvironmentFile(path), given);
}

test('machines get names of the environment, and sizes may have units', async () => {
  const text = `
name: ci
owner: alice
lifetime: 2h
machines:
  web: { image: busybox, memory: 256m, disk: 2g, env: { PORT: 8080, DEBUG: true }, labels: { tier: front } }
  worker: { template: build, replicas: 2 }
`;
  expect(await read(text)).toEqual({
    id: 'ci',
    owner: 'alice',
    lifetime_seconds: 7200,
    machines: [
      {
        ...{ name: 'ci-web', image: 'busybox', vcpu_count: 1, mem_size_mib: 256, disk_size_mib: 2048 },
        ...{ env: { PORT: '8080', DEBUG: 'true' }, labels: { tier: 'front' } },
      },
      { name: 'ci-worker-1', template: 'build' },
      { name: 'ci-worker-2', template: 'build' },
    ],
  });
});

test.each([
  ['machines: { web: { image: x, labels: { __proto__: y } } }', 'machines.web.labels.__proto__'],
  ['machines: { web: { image: x, env: { "__proto__": 1 } } }', 'machines.web.env.__proto__'],
  ['machines: { __proto__: { image: x } }', 'machines.__proto__'],
  ['__proto__: { name: x }', '__proto__'],
])('a field that would be lost is refused: %s', async (text, where) => {
  await expect(read(`name: ci\n${text}`)).rejects.toThrow(
    `${path}, line 2: ${where} is a name that nothing can have`,
  );
});

test('the command line’s name and lifetime take precedence', async () => {
  const text = 'name: ci\nlifetime: 2h\nmachines: { web: { image: busybox } }';
  expect(await read(text, { name: 'mine', lifetimeSeconds: 60 })).toMatchObject({
    ...{ id: 'mine', lifetime_seconds: 60, machines: [{ name: 'mine-web', mem_size_mib: 128 }] },
  });
});

test.each([
  ['machines: {', 'env.yaml, line 1: Flow map in block collection'],
  ['name: a\nmachines:\n  web: { image: busybox\n  b: 1', /env\.yaml, line 4: Flow map in block collection/],
  ['[]', 'env.yaml, line 1: must be a group of fields'],
  ['name: a', 'env.yaml, line 1: machines is required'],
  ['name: a\n\nmachines: { web: { imgae: busybox } }', 'env.yaml, line 3: machines.web.imgae is not a field'],
  ['name: a\nservices:\n  web: {}', 'env.yaml, line 2: services is not a field'],
  [
    'name: a\nmachines:\n  web:\n    cpus: many',
    'env.yaml, line 4: machines.web.cpus must be a whole number',
  ],
  ['name: a\nmachines:\n  web:\n    cpus: 0', 'env.yaml, line 4: machines.web.cpus must be at least 1'],
  [
    'name: a\nmachines:\n  web:\n    ports:\n      - 80\n      - 70000',
    /line 6: machines\.web\.ports\.1 must be at most/,
  ],
  [
    'name: a\nmachines:\n  web:\n    replicas: 101',
    'env.yaml, line 4: machines.web.replicas must be at most 100',
  ],
  [
    'name: a\nmachines:\n  web:\n    restart: yes',
    /line 4: machines\.web\.restart must be one of: no, on-failure, always/,
  ],
  ['name: a\nmachines:\n  web:\n    env: { A: [1] }', /line 4: machines\.web\.env\.A must be text, a number/],
  [
    'name: a\nmachines:\n  web:\n    memory: lots',
    /line 4: machines\.web\.memory must be a size in whole MiB/,
  ],
  ['name: a\nmachines:\n  web: &one { memory: lots }\n  db: *one', /line 3: machines\.web\.memory must be/],
  ['name: a\nmachines:\n  we b: {}', 'env.yaml, line 3: machines.we b must be letters, digits, ., _ and -'],
  [
    'name: a\nlifetime: soon\nmachines: { web: {} }',
    'env.yaml, line 2: lifetime must look like 90s, 30m, 2h or 7d',
  ],
  ['machines: { web: { image: busybox } }', 'env.yaml, line 1: the environment has no name'],
])('a wrong file is refused, with the line: %j', async (text, message) => {
  const told = typeof message === 'string' ? `${directory}/${message}` : message;
  await expect(read(text)).rejects.toThrow(told);
});

test('a field that is not known is answered with those that are', async () => {
  await expect(read('name: a\nmachines: { web: { imgae: busybox } }')).rejects.toMatchObject({
    hint: expect.stringContaining('The fields here are image, template, cpus, memory'),
  });
  await expect(read('name: a\nservices: {}')).rejects.toMatchObject({
    hint: 'The fields here are name, owner, lifetime, machines.',
  });
});

test('a file that is not there is named', () => {
  expect(() => readEnvironmentFile(join(directory, 'none.yaml'))).toThrow(/none\.yaml: ENOENT/);
});

describe('the schema for editors', () => {
  const committed = () => readFile(join(import.meta.dirname, '..', 'docs', 'env.schema.json'), 'utf8');

  test('is the committed one', async () => {
    expect(JSON.parse(await committed())).toEqual(JSON.parse(JSON.stringify(environmentSchema())));
  });

  test('is valid, and accepts what the command accepts', async () => {
    const validate = new Ajv2020({ strict: true, allowUnionTypes: true }).compile(
      JSON.parse(await committed()),
    );
    const file = { $schema: 'env.schema.json', name: 'ci', lifetime: '2h', machines: {} };
    const web = { image: 'busybox', memory: 256, disk: '2g', env: { PORT: 8080 }, ports: [80], replicas: 2 };
    expect(validate({ ...file, machines: { web, db: { template: 'db', restart: 'always' } } })).toBe(true);
    for (const wrong of [{ imgae: 'x' }, { cpus: 0 }, { ports: [0] }, { restart: 'yes' }, { memory: true }])
      expect(validate({ ...file, machines: { web: wrong } }), JSON.stringify(wrong)).toBe(false);
    expect(validate({ ...file, machines: { 'we b': web } })).toBe(false);
    expect(validate({ name: 'ci' })).toBe(false);
  });
});
