/** Opens the reverse proxy, which needs no key. Called by the daemon. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { isAppError } from '../core/errors.ts';
import type { Reach } from '../core/routes/reach.ts';
import type { Logger } from '../lib/log.ts';
import { ReverseProxy } from '../proxy/reverse-proxy.ts';
import { listenAsProxy, type ProxyServer } from '../proxy/server.ts';
import { hostTarget, type TargetRules } from '../proxy/target.ts';
import { AcmeCertificates } from '../proxy/tls/acme-certificates.ts';
import { Authority } from '../proxy/tls/authority.ts';
import { FileCertificates } from '../proxy/tls/certificate-files.ts';
import type { Certificates } from '../proxy/tls/certificates.ts';
import { answerOverHttp } from '../proxy/tls/plain-http.ts';
import type { Flotilla } from './compose.ts';
import type { ProxyConfig } from './proxy-config.ts';

export interface OpenProxy {
  /** Empty when the default address is another program's. */
  readonly addresses: readonly Pick<ProxyServer, 'host' | 'port'>[];
  /** Those with TLS. */
  readonly tlsAddresses: readonly Pick<ProxyServer, 'host' | 'port'>[];
  close(graceMs: number): Promise<void>;
}

/** Raises `unavailable` when an address that was asked for cannot be had, `invalid` for a certificate that cannot be used. */
export async function openProxy(
  config: ProxyConfig,
  { reach, layout }: Pick<Flotilla, 'reach' | 'layout'>,
  log: Logger,
): Promise<OpenProxy> {
  const { prefix, suffixes, wakeTimeoutMs, tls } = config;
  const rules = { prefix, suffixes };
  const certificates = await openCertificates(config, layout.proxyCertificates, reach, log);
  const proxy = new ReverseProxy({ reach, rules, wakeTimeoutMs, log });
  const addresses: ProxyServer[] = [];
  const tlsAddresses: ProxyServer[] = [];
  const close = async (graceMs: number) => {
    await Promise.all([...addresses, ...tlsAddresses].map((server) => server.close(graceMs)));
    proxy.close();
    certificates?.close();
  };
  try {
    if (tls !== null && certificates !== null)
      for (const place of tls.listen)
        tlsAddresses.push(await listenAsProxy(proxy, { ...place, certificates }));
  } catch (error) {
    await close(0);
    throw error;
  }
  const tlsPort = tlsAddresses[0]?.port ?? null;
  const before = (incoming: IncomingMessage, outgoing: ServerResponse) =>
    certificates !== null &&
    tlsPort !== null &&
    answerOverHttp(incoming, outgoing, { certificates, rules, tlsPort });
  try {
    for (const place of config.listen) addresses.push(await listenAsProxy(proxy, { ...place, before }));
  } catch (error) {
    if (config.isListenSet || !isAppError(error, 'unavailable')) {
      await close(0);
      throw error;
    }
    log.warn({ reason: error.message, hint: error.hint }, 'reverse proxy not started');
  }
  return { addresses, tlsAddresses, close };
}

async function openCertificates(
  { tls, prefix, suffixes }: ProxyConfig,
  directory: string,
  reach: Pick<Reach, 'byId' | 'bySubdomain'>,
  log: Logger,
): Promise<Certificates | null> {
  if (tls === null) return null;
  const { certificates } = tls;
  if (certificates.from === 'files') return FileCertificates.open(certificates, log);
  const authority = new Authority({ ...certificates, directory });
  const isKnown = (name: string) => leadsSomewhere(name, { prefix, suffixes }, reach);
  return new AcmeCertificates({ directory, authority, isKnown, log });
}

/** Whether a machine is reached by this host, or, for the domain itself, could be by a path. */
async function leadsSomewhere(
  name: string,
  rules: TargetRules,
  reach: Pick<Reach, 'byId' | 'bySubdomain'>,
): Promise<boolean> {
  if (rules.suffixes.includes(`.${name}`)) return true;
  const target = hostTarget(name, rules);
  if (target === null) return false;
  if ((await reach.bySubdomain(target.subdomain)) !== null) return true;
  if (target.machine === null) return false;
  try {
    await reach.byId(target.machine.machineId, target.machine.port);
    return true;
  } catch (error) {
    if (isAppError(error, 'not_found') || isAppError(error, 'forbidden')) return false;
    throw error;
  }
}
