/** The reverse proxy's part of the environment; called by `config.ts`. */
import { z } from 'zod';
import { AppError } from '../core/errors.ts';
import { type Address, addressesOf, listenPlaces } from './addresses.ts';
import { port } from './variables.ts';

/** With or without the dot. */
const hostSuffix = z
  .string()
  .regex(/^\.?[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*$/, 'must be a domain such as .flotilla.example')
  .transform((text) => (text.startsWith('.') ? text : `.${text}`).toLowerCase());
const letsEncrypt = 'https://acme-v02.api.letsencrypt.org/directory';

export const proxyVariables = {
  /**
   * Where the reverse proxy listens: its port (default: 4000, or any free one if PORT is 0), and addresses such as
   * 0.0.0.0, with or without a port of their own.
   */
  PROXY_PORT: port.optional(),
  FLOTILLA_PROXY_LISTEN: z.string().optional(),
  /** Hatch's variable, as HATCH_HTTP_ADDR. FLOTILLA_PROXY_LISTEN takes precedence. */
  HATCH_PROXY_ADDR: z.string().optional(),
  /** Of its paths: /proxy/MACHINE/PORT/… */
  PROXY_PREFIX: z
    .string()
    .regex(/^(\/[A-Za-z0-9._~-]+)+$/, 'must be a path such as /proxy, without a slash at the end')
    .default('/proxy'),
  /** Of its hosts, such as .flotilla.example: MACHINE-PORT.flotilla.example and SUBDOMAIN.flotilla.example. */
  PROXY_HOST_SUFFIX: hostSuffix.optional(),
  /** Hatch's variable: one more such suffix. */
  HATCH_PROXY_BASE_DOMAIN: hostSuffix.optional(),
  /** The longest wait of a request for a machine that it wakes; a duration such as 60s or 2m. */
  HATCH_PROXY_WAKE_TIMEOUT: z
    .string()
    .regex(/^\d{1,5}(ms|s|m)$/, 'must be a duration such as 60s or 2m')
    .default('60s'),
  /** Where the proxy listens with TLS, such as 0.0.0.0:443; the port's default is 443. */
  PROXY_TLS_LISTEN: z.string().optional(),
  /** Files in PEM: a certificate with its chain, and its key. They are read again when they change. */
  PROXY_TLS_CERT: z.string().optional(),
  PROXY_TLS_KEY: z.string().optional(),
  /**
   * Instead of these files: certificates are fetched from a certificate authority for each name when it is first used. The
   * address is the account's, and setting it agrees to the authority's terms.
   */
  PROXY_ACME_EMAIL: z.email('must be an email address').optional(),
  /** Default: Let's Encrypt. */
  PROXY_ACME_DIRECTORY: z
    .url({ protocol: /^https$/, error: 'must be an address that begins with https://' })
    .default(letsEncrypt),
  /**
   * Scheme and port of the addresses that routes are shown with, such as https://flotilla.example; for a proxy behind another
   * one. Default: those that the proxy listens with.
   */
  PROXY_PUBLIC_URL: z
    .url({ protocol: /^https?$/, error: 'must be an address that begins with http:// or https://' })
    .optional(),
};

type ProxyValues = z.infer<z.ZodObject<typeof proxyVariables>> & { readonly PORT: number };

export interface TlsConfig {
  readonly listen: readonly Address[];
  readonly certificates: CertificateSource;
}

export type CertificateSource =
  | { readonly from: 'files'; readonly certFile: string; readonly keyFile: string }
  | { readonly from: 'acme'; readonly email: string; readonly directoryUrl: string };

export interface ProxyConfig {
  readonly listen: readonly Address[];
  /** Whether its address was asked for; the default one may be taken by another program. */
  readonly isListenSet: boolean;
  /** See PROXY_PREFIX. */
  readonly prefix: string;
  /** See PROXY_HOST_SUFFIX. */
  readonly suffixes: readonly string[];
  /** See HATCH_PROXY_WAKE_TIMEOUT. */
  readonly wakeTimeoutMs: number;
  /** Null: no TLS. */
  readonly tls: TlsConfig | null;
  /** See PROXY_PUBLIC_URL; null: not known, because the port is any free one. */
  readonly publicUrl: URL | null;
}

/** Raises `invalid`, naming the variable. */
export function readProxyConfig(values: ProxyValues): ProxyConfig {
  const listen = listenPlaces(
    ['FLOTILLA_PROXY_LISTEN', values.FLOTILLA_PROXY_LISTEN],
    ['HATCH_PROXY_ADDR', values.HATCH_PROXY_ADDR],
    values.PROXY_PORT ?? (values.PORT === 0 ? 0 : 4000),
  );
  const asked = [values.PROXY_PORT, values.FLOTILLA_PROXY_LISTEN, values.HATCH_PROXY_ADDR];
  const tls = readTls(values);
  return {
    listen,
    isListenSet: asked.some((value) => value !== undefined),
    prefix: values.PROXY_PREFIX,
    suffixes: [values.PROXY_HOST_SUFFIX, values.HATCH_PROXY_BASE_DOMAIN].filter((each) => each !== undefined),
    wakeTimeoutMs: milliseconds(values.HATCH_PROXY_WAKE_TIMEOUT),
    tls,
    publicUrl: publicUrl(values.PROXY_PUBLIC_URL, listen, tls),
  };
}

/** The address of a subdomain at the proxy, without a slash at the end; null when there is no domain, or its port is not known. */
export function routeUrlOf({ suffixes, publicUrl: url }: ProxyConfig): (subdomain: string) => string | null {
  const [suffix] = suffixes;
  if (suffix === undefined || url === null) return () => null;
  const portOf = url.port === '' ? '' : `:${url.port}`;
  return (subdomain) => `${url.protocol}//${subdomain}${suffix}${portOf}`;
}

function publicUrl(given: string | undefined, listen: readonly Address[], tls: TlsConfig | null): URL | null {
  if (given !== undefined) return new URL(given);
  const [address] = tls?.listen ?? listen;
  if (address === undefined || address.port === 0) return null;
  return new URL(`${tls === null ? 'http' : 'https'}://flotilla.invalid:${address.port}`);
}

function readTls(values: ProxyValues): TlsConfig | null {
  const {
    PROXY_TLS_LISTEN: listen,
    PROXY_TLS_CERT: certFile,
    PROXY_TLS_KEY: keyFile,
    PROXY_ACME_EMAIL: email,
    PROXY_ACME_DIRECTORY: directoryUrl,
  } = values;
  const given = [certFile, keyFile, email].some((value) => value !== undefined);
  if (listen === undefined) {
    if (given)
      throw wrong(
        'certificates are given, and no address to use them at',
        'Set PROXY_TLS_LISTEN, such as 0.0.0.0:443.',
      );
    return null;
  }
  const places = addressesOf('PROXY_TLS_LISTEN', listen, 443);
  if (email !== undefined) {
    if (certFile !== undefined || keyFile !== undefined)
      throw wrong('PROXY_ACME_EMAIL and PROXY_TLS_CERT exclude each other', 'Set one of them.');
    if (values.PROXY_HOST_SUFFIX === undefined && values.HATCH_PROXY_BASE_DOMAIN === undefined)
      throw wrong(
        'PROXY_ACME_EMAIL without PROXY_HOST_SUFFIX: there are no names to get certificates for',
        'Set PROXY_HOST_SUFFIX.',
      );
    return { listen: places, certificates: { from: 'acme', email, directoryUrl } };
  }
  if (certFile === undefined || keyFile === undefined)
    throw wrong(
      'PROXY_TLS_LISTEN without certificates',
      'Set PROXY_TLS_CERT and PROXY_TLS_KEY, or PROXY_ACME_EMAIL.',
    );
  return { listen: places, certificates: { from: 'files', certFile, keyFile } };
}

function wrong(message: string, hint: string): AppError {
  return new AppError('invalid', message, { hint });
}

/** Of a duration that the pattern has let through. */
/** Of a duration in Go's form with one unit, such as 500ms, 60s, 45m or 2h. */
export function milliseconds(text: string): number {
  const [, count, unit = 's'] = /^(\d+)(ms|s|m|h)$/.exec(text) ?? [];
  return Number(count) * ({ ms: 1, s: 1_000, m: 60_000, h: 3_600_000 }[unit] ?? 1_000);
}
