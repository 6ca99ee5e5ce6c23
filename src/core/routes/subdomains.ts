/** Which subdomains a route may have. The rules and their words are Hatch's. Pure. */
import { AppError } from '../errors.ts';

export const subdomainPattern = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;
const reserved: ReadonlySet<string> = new Set(
  `api www admin app dashboard mail smtp ftp ssh ns1 ns2 status docs help support billing login auth oauth cdn static
  assets media hatch console panel grafana prometheus traefik minio postgres db redis internal`.split(/\s+/),
);
/** It would hide a port of a machine. */
const machinePort = /^[a-z0-9]{12}-\d{1,5}$/;

/** Raises `invalid`. */
export function checkSubdomain(subdomain: string): void {
  if (!subdomainPattern.test(subdomain))
    throw new AppError(
      'invalid',
      'subdomain must be lowercase alphanumeric with optional hyphens (max 63 chars)',
    );
  if (reserved.has(subdomain) || machinePort.test(subdomain))
    throw new AppError('invalid', `subdomain "${subdomain}" is reserved`);
}

/** Raises `invalid`. */
export function checkTargetPort(port: number | null | undefined): asserts port is number {
  if (port == null || !Number.isInteger(port) || port < 1 || port > 65_535)
    throw new AppError('invalid', 'target_port must be between 1 and 65535');
}
