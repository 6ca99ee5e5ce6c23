/** Arithmetic with times that a clock gave. */

/** The time `ms` milliseconds after `at`, RFC 3339 in UTC. */
export function timeAfter(at: Date, ms: number): string {
  return new Date(at.getTime() + ms).toISOString();
}

/** The time that an RFC 3339 text says. */
export function timeOf(text: string): Date {
  return new Date(text);
}

/** A number of milliseconds since 1970 as RFC 3339 in UTC. */
export function timeText(ms: number): string {
  return new Date(ms).toISOString();
}
