/** What `doctor` says about the certificates of the reverse proxy: for which names they are, and when they end. */
import { X509Certificate } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { hasErrorCode } from '../../lib/files.ts';
import { load } from '../../proxy/tls/certificates.ts';
import { type Finding, fail, ok, warn } from '../../setup/doctor/finding.ts';
import type { StateLayout } from '../../storage/layout.ts';
import type { ProxyConfig } from '../proxy-config.ts';

const subject = 'proxy certificate';
const dayMs = 86_400_000;
/** A certificate that ends sooner should have been renewed: those of Let's Encrypt are after 60 of 90 days. */
const daysMin = 14;

/** Raises `invalid` for files that cannot be used. Fetches nothing. No finding without TLS. */
export async function checkCertificates(
  { tls }: Pick<ProxyConfig, 'tls'>,
  layout: Pick<StateLayout, 'proxyCertificates'>,
  now: Date,
): Promise<readonly Finding[]> {
  if (tls === null) return [];
  const { certificates: source } = tls;
  if (source.from === 'files') {
    const [cert = '', key = ''] = await Promise.all(
      [source.certFile, source.keyFile].map((path) => readFile(path, 'utf8')),
    );
    const { certificate } = load(
      cert,
      key,
      `the certificate ${source.certFile} with the key ${source.keyFile}`,
    );
    return [judge(certificate, now, `Renew ${source.certFile}; the daemon reads it within a minute.`)];
  }
  const fetched = await readFetched(layout.proxyCertificates);
  if (fetched.length === 0) {
    return [ok(subject, 'none fetched yet; each is when its name is first used')];
  }
  return fetched.map(({ path, certificate }) =>
    certificate === null
      ? warn(subject, `${path} is damaged`, 'It is fetched again when its name is used.')
      : judge(
          certificate,
          now,
          `It is fetched again when its name is used; if it is, the daemon’s log says why it was not. If nobody uses the name any more: rm ${path}`,
        ),
  );
}

function judge(certificate: X509Certificate, now: Date, hint: string): Finding {
  const { validFromDate: from, validToDate: to } = certificate;
  const names = namesOf(certificate);
  const until = `until ${to.toISOString().slice(0, 10)}`;
  const days = Math.floor((to.getTime() - now.getTime()) / dayMs);
  if (to <= now) return fail(subject, `it has ended, ${until}: ${names}`, hint);
  if (from > now)
    return fail(
      subject,
      `it is not valid before ${from.toISOString()}: ${names}`,
      'Check the clock of this host.',
    );
  if (days < daysMin) return warn(subject, `it ends in ${days} days, ${until}: ${names}`, hint);
  return ok(subject, `${names}, ${until}`);
}

function namesOf({ subjectAltName, subject: owner }: X509Certificate): string {
  const names = subjectAltName?.match(/(?<=\bDNS:|\bIP Address:)[^,\s"]+/g) ?? [];
  return names.length > 0 ? names.join(' ') : owner;
}

async function readFetched(
  directory: string,
): Promise<readonly { readonly path: string; readonly certificate: X509Certificate | null }[]> {
  const names = await readdir(directory).catch((error: unknown) => {
    if (hasErrorCode(error, 'ENOENT')) return [];
    throw error;
  });
  const paths = names.filter((name) => name.endsWith('.pem')).map((name) => join(directory, name));
  return Promise.all(
    paths.sort().map(async (path) => ({ path, certificate: certificateIn(await readFile(path, 'utf8')) })),
  );
}

function certificateIn(pem: string): X509Certificate | null {
  try {
    return new X509Certificate(pem);
  } catch {
    return null;
  }
}
