/** Certificates of the proxy in `doctor`, made by openssl. */
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { makeCertificate } from '../../proxy/tls/testing.ts';
import { StateLayout } from '../../storage/layout.ts';
import type { CertificateSource } from '../proxy-config.ts';
import { checkCertificates } from './certificates.ts';

const dayMs = 86_400_000;
/** Making a certificate takes less. */
const minuteMs = 60_000;
const listen = [{ host: '127.0.0.1', port: 443 }];
let layout: StateLayout;
let madeAt: number;
beforeEach(async () => {
  layout = new StateLayout(await mkdtemp(join(tmpdir(), 'f-')));
  madeAt = Date.now();
});
afterEach(() => rm(layout.root, { recursive: true }));

const check = async (certificates: CertificateSource, days = 0) => {
  const found = await checkCertificates(
    { tls: { listen, certificates } },
    layout,
    new Date(madeAt + minuteMs + days * dayMs),
  );
  return found.map(({ level, message }) => `${level}: ${message}`);
};
const acme: CertificateSource = { from: 'acme', email: 'a@example.com', directoryUrl: 'https://ca.example' };

test('shows the names and the end of the certificate, and warns two weeks before', async () => {
  const files = await makeCertificate(layout.root, 'fleet.example', 90);
  const source = { from: 'files', ...files } as const;
  const until = new Date(madeAt + 90 * dayMs).toISOString().slice(0, 10);
  expect(await check(source)).toEqual([`ok: fleet.example, until ${until}`]);
  expect(await check(source, 75)).toEqual([`ok: fleet.example, until ${until}`]);
  expect(await check(source, 77)).toEqual([`warn: it ends in 12 days, until ${until}: fleet.example`]);
  expect(await check(source, 91)).toEqual([`error: it has ended, until ${until}: fleet.example`]);
  expect(await check(source, -2)).toEqual([
    expect.stringMatching(/^error: it is not valid before .*: fleet\.example$/),
  ]);
});

test('says that certificate and key do not belong together', async () => {
  const { certFile } = await makeCertificate(layout.root, 'one');
  const { keyFile } = await makeCertificate(layout.root, 'other');
  await expect(check({ from: 'files', certFile, keyFile })).rejects.toMatchObject({ code: 'invalid' });
});

test('shows each that was fetched', async () => {
  expect(await check(acme)).toEqual(['ok: none fetched yet; each is when its name is first used']);
  await mkdir(layout.proxyCertificates);
  for (const [name, days] of [
    ['a', 90],
    ['b', 10],
  ] as const) {
    const { certFile } = await makeCertificate(layout.root, `${name}.example`, days);
    await writeFile(join(layout.proxyCertificates, `${name}.example.pem`), await readFile(certFile));
  }
  await writeFile(join(layout.proxyCertificates, 'c.example.pem'), 'damaged');
  await writeFile(join(layout.proxyCertificates, 'account.key'), 'no certificate');
  expect(await check(acme)).toEqual([
    expect.stringMatching(/^ok: a\.example, until /),
    expect.stringMatching(/^warn: it ends in \d+ days, until .*: b\.example$/),
    expect.stringMatching(/^warn: .*c\.example\.pem is damaged$/),
  ]);
});

test('has nothing to say without TLS', async () => {
  expect(await checkCertificates({ tls: null }, layout, new Date())).toEqual([]);
});
