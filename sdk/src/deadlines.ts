/**
 * How long calls may take unless the call says otherwise. Start waits for a guest that answers; Node's own fetch gives
 * up on headers after 300 s, so nothing that answers at the end may wait longer.
 */
export const deadlinesMs = {
  read: 30_000,
  write: 60_000,
  create: 120_000,
  start: 240_000,
  stop: 120_000,
  wait: 45_000,
  delete: 120_000,
  import: 280_000,
} as const;
