/** Which certificates are fetched, when, and how often; the authority is a function of the test. */
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { silentLog } from '../../lib/log.ts';
import { AcmeCertificates } from './acme-certificates.ts';
import type { Fetched } from './authority.ts';
import { makeCertificate } from './testing.ts';

const dayMs = 86_400_000;
let directory: string;
let made: Fetched;
let now: number;
let fetched: string[];
let fetchOne: (name: string) => Promise<Fetched>;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'proxy-acme-'));
  made = await fetchedFor(90);
  now = Date.now();
  fetched = [];
  fetchOne = () => Promise.resolve(made);
});
afterEach(() => rm(directory, { recursive: true }));

async function fetchedFor(days: number): Promise<Fetched> {
  const { certFile, keyFile } = await makeCertificate(directory, `made-${days}`, days);
  return { certPem: await readFile(certFile, 'utf8'), keyPem: await readFile(keyFile, 'utf8') };
}

const kept = () => join(directory, 'kept');
const open = () =>
  new AcmeCertificates({
    directory: kept(),
    authority: {
      challenges: new Map([['token', 'answer']]),
      fetch: (name) => {
        fetched.push(name);
        return fetchOne(name);
      },
    },
    isKnown: async (name) => name.endsWith('.known.example'),
    log: silentLog,
    now: () => now,
  });

test('a name is fetched once for all who ask, and kept in a file that nobody else can read', async () => {
  const certificates = open();
  const contexts = await Promise.all(
    Array.from({ length: 9 }, () => certificates.contextOf('a.known.example')),
  );
  expect(new Set(contexts).size).toBe(1);
  expect(contexts[0]).not.toBeNull();
  expect(await open().contextOf('a.known.example')).not.toBeNull();
  expect(fetched).toEqual(['a.known.example']);
  expect((await stat(join(kept(), 'a.known.example.pem'))).mode & 0o777).toBe(0o600);
});

test('nothing is fetched for other names, and none leads out of the directory', async () => {
  await writeFile(join(directory, 'out.pem'), `${made.certPem}${made.keyPem}`);
  const certificates = open();
  for (const name of ['b.example', '', '../out', 'a/b.known.example', `${'a'.repeat(250)}.known.example`])
    expect(await certificates.contextOf(name), name).toBeNull();
  expect(fetched).toEqual([]);
});

test('in the last third of its life it is fetched again, while clients get the old one', async () => {
  const certificates = open();
  const first = await certificates.contextOf('a.known.example');
  now += 59 * dayMs;
  expect(await certificates.contextOf('a.known.example')).toBe(first);
  expect(fetched).toHaveLength(1);
  now += 2 * dayMs;
  const again = Promise.withResolvers<Fetched>();
  fetchOne = () => again.promise;
  expect(await certificates.contextOf('a.known.example')).toBe(first);
  again.resolve(await fetchedFor(365));
  await expect.poll(() => certificates.contextOf('a.known.example')).not.toBe(first);
  expect(fetched).toHaveLength(2);
});

test('a name that failed is tried again after a while, later each time', async () => {
  const certificates = open();
  fetchOne = () => Promise.reject(new Error('the authority cannot reach this host'));
  for (const [passedMs, count] of [
    [0, 1],
    [59_000, 1],
    [1_000, 2],
    [119_000, 2],
    [1_000, 3],
  ] as const) {
    now += passedMs;
    expect(await certificates.contextOf('a.known.example')).toBeNull();
    expect(fetched).toHaveLength(count);
  }
  now += dayMs;
  fetchOne = () => Promise.resolve(made);
  expect(await certificates.contextOf('a.known.example')).not.toBeNull();
});

test('at most 40 new certificates in seven days', async () => {
  const certificates = open();
  for (let index = 0; index < 45; index += 1) await certificates.contextOf(`n${index}.known.example`);
  expect(fetched).toHaveLength(40);
  expect((await readdir(kept())).filter((name) => name.endsWith('.pem'))).toHaveLength(40);
  now = Date.now() + 7 * dayMs;
  expect(await certificates.contextOf('n44.known.example')).not.toBeNull();
});

test('a damaged file is replaced', async () => {
  await open().contextOf('a.known.example');
  await writeFile(join(kept(), 'a.known.example.pem'), 'damaged');
  expect(await open().contextOf('a.known.example')).not.toBeNull();
  expect(fetched).toHaveLength(2);
});

test('answers the authority’s requests, and no others', () => {
  const certificates = open();
  expect(certificates.challengeAnswer('/.well-known/acme-challenge/token')).toBe('answer');
  for (const path of ['/.well-known/acme-challenge/other', '/token', '/'])
    expect(certificates.challengeAnswer(path)).toBeNull();
});
