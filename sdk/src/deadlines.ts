/**
 * Default deadlines of calls. Start and its like wait until the guest answers. All stay below 300 s, because
 * Node's fetch then gives up waiting for headers.
 */
export const deadlinesMs = {
  read: 30_000,
  write: 60_000,
  create: 120_000,
  start: 240_000,
  stop: 120_000,
  wait: 45_000,
  delete: 120_000,
  suspend: 280_000,
  snapshot: 280_000,
  import: 280_000,
} as const;
