/** Certificates for tests, signed by themselves. */
import { join } from 'node:path';
import { run } from '../../lib/process.ts';

export interface MadeCertificate {
  readonly certFile: string;
  readonly keyFile: string;
}

/** Writes `NAME.pem` and `NAME.key` to the directory, valid for so many days from today. */
export async function makeCertificate(directory: string, name: string, days = 90): Promise<MadeCertificate> {
  const certFile = join(directory, `${name}.pem`);
  const keyFile = join(directory, `${name}.key`);
  const request = [
    ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'],
    ...['-days', String(days), '-subj', `/CN=${name}`, '-addext', `subjectAltName=DNS:${name}`],
    ...['-out', certFile, '-keyout', keyFile],
  ];
  await run('openssl', request, { timeoutMs: 30_000 });
  return { certFile, keyFile };
}
