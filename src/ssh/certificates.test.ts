/** Public keys and certificates, against those that OpenSSH's own ssh-keygen makes and reads. */
import { execFile } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CertificateAuthority, readCertificate } from '../core/ssh/certificate.ts';
import { parsePublicKey, publicKeyLine, readPublicKey } from '../core/ssh/public-key.ts';
import { encodePrivateKey, makePrivateKey, readPrivateKey } from './host-key.ts';

const run = promisify(execFile);
let directory: string;
let authority: CertificateAuthority;
const path = (name: string) => join(directory, name);
const keygen = async (...args: string[]) => (await run('ssh-keygen', args)).stdout;
const lineOf = async (name: string) => (await readFile(path(`${name}.pub`), 'utf8')).trim();

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'f-keys-'));
  await writeFile(path('ca'), makePrivateKey('ca'), { mode: 0o600 });
  authority = new CertificateAuthority(readPrivateKey(await readFile(path('ca'), 'utf8'), 'ca').secretKey);
  for (const [name, ...type] of [
    ['ed', 'ed25519'],
    ['rsa', 'rsa', '-b', '2048'],
    ['weak', 'rsa', '-b', '1024'],
    ['p256', 'ecdsa', '-b', '256'],
    ['p384', 'ecdsa', '-b', '384'],
    ['p521', 'ecdsa', '-b', '521'],
  ] as const) {
    await keygen('-q', '-N', '', '-C', `me@${name}`, '-f', path(name), '-t', ...type);
  }
});
afterAll(() => rm(directory, { recursive: true }));

/** Signs the key with ssh-keygen; returns the certificate's bytes. */
async function certified(name: string, ...args: string[]): Promise<Buffer> {
  await keygen('-q', '-s', path('ca'), '-I', 'someone', ...args, path(`${name}.pub`));
  const text = await readFile(path(`${name}-cert.pub`), 'utf8');
  return Buffer.from(text.split(' ')[1] ?? '', 'base64');
}

test('a private key is what ssh-keygen reads, also when its halves begin with zero', async () => {
  // One public half in 256 does so.
  for (let found = 0; found < 3; ) {
    const { privateKey, publicKey } = generateKeyPairSync('ed25519');
    const point = Buffer.from(publicKey.export({ format: 'jwk' }).x ?? '', 'base64url');
    if (point[0] !== 0) continue;
    found += 1;
    const text = encodePrivateKey(privateKey, 'x'.repeat(found));
    const read = readPrivateKey(text, 'it');
    expect(read.secretKey.equals(privateKey)).toBe(true);
    await writeFile(path(`made-${found}`), text, { mode: 0o600 });
    const line = (await keygen('-yf', path(`made-${found}`))).trim();
    expect(parsePublicKey(line)).toMatchObject({ comment: 'x'.repeat(found), blob: read.publicKey.blob });
  }
});

describe('a public key', () => {
  test.each(['ed', 'rsa', 'p256', 'p384', 'p521'])('%s has the fingerprint of ssh-keygen', async (name) => {
    const key = parsePublicKey(await lineOf(name));
    const [, fingerprint] = (await keygen('-lf', path(`${name}.pub`))).split(' ');
    expect(key).toMatchObject({ fingerprint, comment: `me@${name}` });
    expect(parsePublicKey(publicKeyLine(key)).blob).toEqual(key.blob);
  });

  test.each([
    ['', 'this is not a public key'],
    ['hello', 'this is not a public key'],
    ['ssh-ed25519 AAAA', 'the public key is damaged'],
    ['-----BEGIN OPENSSH PRIVATE KEY-----\nb3Bl', 'this is a private key, which must never leave its owner'],
    ['ssh-dss AAAAB3NzaC1kc3M=', 'DSA keys are too weak'],
    ['command="x" ssh-ed25519 AAAA', 'this is not a public key'],
    [
      'sk-ssh-ed25519@openssh.com AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29t',
      'keys on security tokens are not supported',
    ],
  ])('%j is refused: %s', (text, message) => {
    expect(() => parsePublicKey(text)).toThrow(expect.objectContaining({ code: 'invalid', message }));
  });

  test('is refused when it is weak, two, of another type than it says, or cut', async () => {
    const line = await lineOf('ed');
    const weak = await lineOf('weak');
    expect(() => parsePublicKey(weak)).toThrow('an RSA key needs 2048 bits, this one has 1024');
    expect(() => parsePublicKey(`${line}\n${line}`)).toThrow('a public key is one line');
    expect(() => parsePublicKey(line.replace('ssh-ed25519', 'ssh-rsa'))).toThrow('the key says that it is');
    const { blob } = parsePublicKey(line);
    for (let length = 0; length < blob.length; length += 1) {
      expect(() => readPublicKey(blob.subarray(0, length))).toThrow(
        expect.objectContaining({ code: 'invalid' }),
      );
    }
    expect(() => readPublicKey(Buffer.concat([blob, Buffer.alloc(1)]))).toThrow('damaged');
  });
});

describe('a certificate', () => {
  const now = new Date();

  test.each(['ed', 'rsa', 'p256', 'p384', 'p521'])(
    'of ssh-keygen for %s is read and accepted',
    async (name) => {
      const made = await certified(
        name,
        '-n',
        'm1,m2',
        '-z',
        '77',
        '-V',
        '-1m:+5m',
        '-O',
        'extension:key@flotilla=k1',
      );
      const certificate = readCertificate(made);
      expect(certificate).toMatchObject({ serial: 77n, keyId: 'someone', principals: ['m1', 'm2'] });
      expect(certificate.key.blob).toEqual(parsePublicKey(await lineOf(name)).blob);
      expect(certificate.extensions.get('key@flotilla')?.toString()).toBe('k1');
      expect(() => authority.check(certificate, now)).not.toThrow();
    },
  );

  test('that is damaged anywhere is refused', async () => {
    const made = await certified('ed', '-n', 'm1');
    for (let at = 0; at < made.length; at += 1) {
      const damaged = Buffer.from(made);
      damaged[at] = (damaged[at] ?? 0) ^ 1;
      expect(() => authority.check(readCertificate(damaged), now), `byte ${at}`).toThrow();
      expect(() => readCertificate(made.subarray(0, at))).toThrow(
        expect.objectContaining({ code: 'invalid' }),
      );
    }
  });

  test.each([
    ['has expired', ['-n', 'm1', '-V', '-2m:-1m']],
    ['is not valid yet', ['-n', 'm1', '-V', '+1m:+2m']],
    ['names no machine', []],
    ['is not for users', ['-h', '-n', 'm1']],
    ["demands 'force-command', which is not supported", ['-n', 'm1', '-O', 'force-command=true']],
    ["demands 'source-address', which is not supported", ['-n', 'm1', '-O', 'source-address=10.0.0.0/8']],
  ])('that %s is refused', async (reason, args) => {
    const certificate = readCertificate(await certified('ed', ...args));
    expect(() => authority.check(certificate, now)).toThrow(
      expect.objectContaining({ code: 'unauthenticated', message: `the certificate ${reason}` }),
    );
  });

  test('of another authority is refused', async () => {
    const other = new CertificateAuthority(generateKeyPairSync('ed25519').privateKey);
    const certificate = readCertificate(await certified('ed', '-n', 'm1'));
    expect(() => other.check(certificate, now)).toThrow('of another authority');
  });

  test.each(['ed', 'rsa', 'p256'])('that we make for %s is what ssh-keygen shows', async (name) => {
    const key = parsePublicKey(await lineOf(name));
    const seconds = Math.floor(now.getTime() / 1000);
    const made = authority.make({
      ...{ key, serial: 5n, keyId: 'web of default', principals: ['m1'], apiKeyId: 'k1' },
      ...{ validAfter: seconds - 60, validBefore: seconds + 300 },
    });
    authority.check(readCertificate(made), now);
    await writeFile(path('made-cert.pub'), `${key.type}-cert-v01@openssh.com ${made.toString('base64')}\n`);
    const shown = await keygen('-Lf', path('made-cert.pub'));
    expect(shown).toMatch(/Serial: 5\n/);
    expect(shown).toMatch(/Key ID: "web of default"/);
    expect(shown).toMatch(/Principals:\s+m1\n/);
    expect(shown).toMatch(/permit-pty/);
  });
});
