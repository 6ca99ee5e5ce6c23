/** Domain names as rules and queries write them. Pure. */

/** Underscores are in service names such as `_sip._tcp`. */
const label = '[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?';
const namePattern = new RegExp(`^${label}(?:\\.${label})*$`);
const nameMax = 253;

/** The zone of machines' names. */
export const machineZone = 'flotilla.internal';

/** Whether it has only letters, digits, hyphens and underscores; no other name is asked for. */
export function isDomainName(text: string): boolean {
  return text.length <= nameMax && namePattern.test(text);
}

/** Lower case, without the dot at the end. */
export function normalized(name: string): string {
  return name.replace(/\.$/, '').toLowerCase();
}

/** `example.com` is that name alone, `*.example.com` every name below it, `*` every name. */
export function matchesDomain(pattern: string, name: string): boolean {
  const [rule, asked] = [normalized(pattern), normalized(name)];
  if (rule === '*') return true;
  return rule.startsWith('*.') ? asked.endsWith(rule.slice(1)) : asked === rule;
}

/** The machine's name in a name of the zone, empty for the zone itself; null for other names. */
export function machineNameIn(name: string): string | null {
  const asked = normalized(name);
  if (asked === machineZone) return '';
  return asked.endsWith(`.${machineZone}`) ? asked.slice(0, -machineZone.length - 1) : null;
}

/** The IPv4 address in a reverse name such as `2.0.77.10.in-addr.arpa`; null for other names. */
export function reversedAddress(name: string): string | null {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.in-addr\.arpa$/.exec(normalized(name));
  const parts = match?.slice(1) ?? [];
  return parts.length === 4 && parts.every((part) => Number(part) <= 255) ? parts.reverse().join('.') : null;
}
