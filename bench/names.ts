/** The benchmarks that there are. The command line has a list of its own, which a test compares with this one. */
export const benchNames = [
  'boot',
  'start',
  'exec',
  'files',
  'api',
  'dialects',
  'hostile',
  'net',
  'proxy',
  'quota',
  'snapshot',
  'fork',
  'density',
] as const;
export type BenchName = (typeof benchNames)[number];
